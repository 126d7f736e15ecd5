package node

import (
	"errors"
	"strings"
	"testing"
)

func TestPreflightNamesWhatIsMissing(t *testing.T) {
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	tests := map[string]struct {
		program, file func(string) bool
		want          string
	}{
		"nothing": {program: all, file: all},
		"ovmf":    {program: all, file: none, want: "apt-get install -y --no-install-recommends ovmf"},
		"all":     {program: none, file: none, want: "apt-get install -y --no-install-recommends " + strings.Join([]string{"ovmf", "qemu-system-x86", "qemu-utils"}, " ")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := preflight(tc.program, tc.file)
			if tc.want == "" && err != nil || tc.want != "" && (!errors.Is(err, ErrMissing) || !strings.HasSuffix(err.Error(), tc.want)) {
				t.Errorf("error %v, want one that ends with %q", err, tc.want)
			}
		})
	}
}

package preflight

import (
	"errors"
	"strings"
	"testing"
)

func TestProbeNamesAllThatIsMissing(t *testing.T) {
	fine := func() error { return nil }
	broken := func() error { return errors.New("unknown filesystem type") }
	cases := map[string]struct {
		features []feature
		want     []string
	}{
		"nothing": {[]feature{{"a", "modprobe a", fine}}, nil},
		"two of three": {
			[]feature{{"overlayfs", "modprobe overlay", broken}, {"b", "modprobe b", fine}, {"bridges", "modprobe bridge", broken}},
			[]string{"overlayfs (try modprobe overlay)", "bridges (try modprobe bridge)"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := probe(tc.features)
			if (err == nil) != (len(tc.want) == 0) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in %v", want, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), "modprobe b)") {
				t.Errorf("what is there is named: %v", err)
			}
		})
	}
}

func TestTryingReportsOutput(t *testing.T) {
	err := trying("sh", "-c", "echo not supported >&2; exit 3")()
	if err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("got %v", err)
	}
}

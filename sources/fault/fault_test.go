package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"slipway.dev/slipway/internal/scrub"
	"slipway.dev/slipway/sources/fault"
)

var errAuth = errors.New("authentication failed")

func TestNew(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"with a kind":    {fault.New("fetch", "https://user:s3cret-word@git.example/vms", errAuth, "it says s3cret-word", scrub.New("s3cret-word")), "fetch https://git.example/vms: authentication failed: it says ***"},
		"without a kind": {fault.New("push to", "oci://registry.example/vms", nil, "odd", scrub.New()), "push to oci://registry.example/vms: odd"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.err.Error(); got != tc.want {
				t.Errorf("text = %q, want %q", got, tc.want)
			}
			if got := errors.Is(tc.err, errAuth); got != (name == "with a kind") {
				t.Errorf("is errAuth = %v", got)
			}
		})
	}
}

func ExampleNew() {
	fmt.Println(fault.New("resolve", "https://git.example/vms", errAuth, "name a Secret", scrub.New()))
	// Output: resolve https://git.example/vms: authentication failed: name a Secret
}

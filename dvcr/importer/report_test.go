package importer

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	for _, kind := range kinds {
		b, err := NewReport(State{Phase: Failed, Err: fmt.Errorf("import x: %w: %s", kind, strings.Repeat("<\x01\"", 5000))}).Encode()
		if err != nil || len(b) > 4096 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		r, err := DecodeReport(b)
		if err != nil {
			t.Fatal(err)
		}
		s := r.State()
		if s.Phase != Failed || !errors.Is(s.Err, kind) || !strings.HasPrefix(s.Err.Error(), "import x: ") {
			t.Errorf("%v comes back as %v", kind, s.Err)
		}
	}
	result := &Result{Format: "qcow2", VirtualSize: 5, Digest: "sha256:1"}
	b, err := NewReport(State{Phase: Succeeded, Result: result}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeReport(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(State{Phase: Succeeded, Result: result}, r.State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "{}", "killed", `{"result":{},"message":"both"}`} {
		if _, err := DecodeReport([]byte(bad)); !errors.Is(err, ErrNoReport) {
			t.Errorf("%q is taken for a report (%v)", bad, err)
		}
	}
}

func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte(`{"kind":"NotFound","message":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		if s := r.State(); s.Phase == Failed && s.Err.Error() == "" {
			t.Error("a failure without words")
		}
	})
}

package conformance

import (
	_ "embed"
	"maps"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"slipway.dev/slipway/config/crd"
)

//go:embed accepted.yaml
var acceptedYAML []byte

// TestDefinitions compares each definition with the reference's.
func TestDefinitions(t *testing.T) {
	want := definitions(t, reference(t, "crds"))
	got := definitions(t, crd.Files)
	accepted, err := parseAcceptances(acceptedYAML)
	if err != nil {
		t.Fatal(err)
	}
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for _, d := range accepted.rest(compare(name, maybeFacts(want[name]), maybeFacts(got[name]))) {
			t.Error(d)
		}
	}
	for _, a := range accepted.stale() {
		t.Errorf("accepted.yaml lists a difference that does not occur (any more): %s %s %v", a.CRD, a.Path, a.Aspects)
	}
}

// maybeFacts says nothing of a definition that is not there.
func maybeFacts(crd *apiextensionsv1.CustomResourceDefinition) facts {
	if crd == nil {
		return nil
	}
	return factsOf(crd)
}

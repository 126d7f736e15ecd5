package crd_test

import (
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/config/crd"
)

// A definition that the kustomization forgets is missing in a cluster, where the
// controllers then end because they cannot watch its kind.
func TestKustomizationHasEveryDefinition(t *testing.T) {
	raw, err := os.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kustomization := &types.Kustomization{}
	if err := yaml.UnmarshalStrict(raw, kustomization); err != nil {
		t.Fatal(err)
	}
	want, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(kustomization.Resources))); diff != "" {
		t.Errorf("config/crd/kustomization.yaml (-definitions +listed):\n%s", diff)
	}
}

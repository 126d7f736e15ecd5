package conformance

import (
	"bytes"
	"io/fs"
	"path"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/render/schema"
)

// TestRenderingEqualsKustomize renders the suites twice, with the transformer configurations that they bring along and
// without, and compares both with what plain kustomize makes of them with these.
func TestRenderingEqualsKustomize(t *testing.T) {
	tree := filled(t, reference(t, "e2e"))
	bare := withoutConfigurations(t, tree)
	for _, dir := range kustomizations(t, tree) {
		if path.Dir(dir) != "." {
			continue // those below carry no configuration of their own
		}
		t.Run(dir, func(t *testing.T) {
			want := plainKustomize(t, tree, dir)
			for input, source := range map[string]fs.FS{"with its configuration": tree, "without": bare} {
				got, err := kustomize.Render(t.Context(), source, kustomize.Options{Path: dir})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, stripped(t, got)); diff != "" {
					t.Errorf("%s: %s", input, diff)
				}
			}
		})
	}
}

func withoutConfigurations(t *testing.T, tree fs.FS) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	removed := 0
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(tree, name)
		bare := bytes.ReplaceAll(raw, []byte("configurations:\n  - transformer.yaml\n"), nil)
		if len(bare) != len(raw) {
			removed++
		}
		out[name] = &fstest.MapFile{Data: bare}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if removed == 0 {
		t.Fatal("no suite has a configuration to take away")
	}
	return out
}

// plainKustomize builds with kustomize alone, which does not know which of the kinds have no namespace.
func plainKustomize(t *testing.T, tree fs.FS, dir string) []map[string]any {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return memory.WriteFile("/"+name, raw)
	})
	if err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	for _, r := range built.Resources() {
		raw, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			t.Fatal(err)
		}
		if kind := u.GetKind(); kind == "ClusterVirtualImage" || kind == "VirtualMachineClass" {
			unstructured.RemoveNestedField(u.Object, "metadata", "namespace")
		}
		objects = append(objects, u.Object)
	}
	return objects
}

func stripped(t *testing.T, objects []*unstructured.Unstructured) []map[string]any {
	t.Helper()
	var list []map[string]any
	for _, u := range objects {
		if file, line := kustomize.Origin(u); file == "" || line == 0 {
			t.Errorf("%s %s comes from %q, line %d", u.GetKind(), u.GetName(), file, line)
		}
		kustomize.StripOrigin(u)
		list = append(list, u.Object)
	}
	return list
}

// TestSuitesPassOffline checks the suites against the definitions without an API server.
func TestSuitesPassOffline(t *testing.T) {
	tree := filled(t, reference(t, "e2e"))
	validator, err := schema.FromFS(crd.Files)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range kustomizations(t, tree) {
		objects, err := kustomize.Render(t.Context(), tree, kustomize.Options{Path: dir})
		if err != nil {
			t.Fatal(err)
		}
		if faults := validator.Validate(t.Context(), objects, tree); len(faults) > 0 {
			t.Errorf("%s: %v", dir, faults)
		}
	}
}

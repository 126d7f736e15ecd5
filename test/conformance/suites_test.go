package conformance

import (
	"bytes"
	"io/fs"
	"path"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/config/crd"
	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/test/kubetest"
)

// TestSuites renders each kustomization of the reference's end-to-end suites and asks an API server for each object.
func TestSuites(t *testing.T) {
	tree := filled(t, reference(t, "e2e"))
	c := newClient(t, crd.Files, enginecrd.Files)
	namespace := kubetest.Namespace(t, c)
	for _, dir := range kustomizations(t, tree) {
		t.Run(dir, func(t *testing.T) {
			objects, err := kustomize.Render(t.Context(), tree, kustomize.Options{Path: dir})
			if err != nil {
				t.Fatal(err)
			}
			if len(objects) == 0 {
				t.Error("nothing is rendered")
			}
			for _, object := range objects {
				submit(t, c, object, namespace)
			}
		})
	}
}

// admit does to an object what Slipway's admission does before the API server looks at it: a machine that names no class
// gets the default one. The suites have one such machine, on purpose.
func admit(object *unstructured.Unstructured) {
	if object.GetKind() != v1alpha2.VirtualMachineKind {
		return
	}
	spec, ok := object.Object["spec"].(map[string]any)
	if class, _ := spec["virtualMachineClassName"].(string); ok && class == "" {
		spec["virtualMachineClassName"] = "generic"
	}
}

// submit asks for an object, in a namespace that exists.
func submit(t *testing.T, c client.Client, object *unstructured.Unstructured, namespace string) {
	t.Helper()
	object = object.DeepCopy()
	namespaced, err := c.IsObjectNamespaced(object)
	if err != nil {
		t.Errorf("%s %s: %v", object.GroupVersionKind(), object.GetName(), err)
		return
	}
	if namespaced {
		object.SetNamespace(namespace)
	}
	admit(object)
	if err := c.Create(t.Context(), object, client.DryRunAll); err != nil {
		t.Errorf("%s %s: %v", object.GroupVersionKind(), object.GetName(), err)
	}
}

// filled is a tree in memory with the placeholder of the storage class filled in.
func filled(t *testing.T, tree fs.FS) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		raw = bytes.ReplaceAll(raw, []byte("{{ .STORAGE_CLASS_NAME }}"), []byte("local"))
		out[name] = &fstest.MapFile{Data: raw, Mode: 0o644}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kustomizations are the folders that hold one.
func kustomizations(t *testing.T, tree fs.FS) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "kustomization.yaml" {
			out = append(out, path.Dir(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

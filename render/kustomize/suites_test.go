package kustomize

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// suites reads the platform's own kustomize suites, which stand outside of this repository.
func suites(t testing.TB) fstest.MapFS {
	t.Helper()
	root := os.Getenv("SLIPWAY_REFERENCE")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, "dvp", "e2e")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no reference data here; set SLIPWAY_REFERENCE to a directory that has dvp/e2e")
	}
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = &fstest.MapFile{Data: bytes.ReplaceAll(content, []byte("{{ .STORAGE_CLASS_NAME }}"), []byte("local"))}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSuitesOfThePlatformBuild(t *testing.T) {
	files := suites(t)
	count := 0
	for name := range files {
		if path.Base(name) != "kustomization.yaml" {
			continue
		}
		count++
		t.Run(path.Dir(name), func(t *testing.T) {
			objects, err := New(1).Render(t.Context(), "", files, Options{Path: path.Dir(name)})
			if err != nil {
				t.Fatal(err)
			}
			if len(objects) == 0 {
				t.Fatal("no objects")
			}
			checkReferences(t, objects)
			for _, u := range objects {
				if file, line := Origin(u); files[file] == nil || line == 0 {
					t.Errorf("%s/%s comes from %q:%d", u.GetKind(), u.GetName(), file, line)
				}
			}
		})
	}
	if count < 60 {
		t.Errorf("only %d kustomizations", count)
	}
}

// checkReferences finds references to objects that are in the same bundle under another name.
func checkReferences(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	names := map[string]bool{}
	disks := 0
	for _, u := range objects {
		names[u.GetKind()+"/"+u.GetName()] = true
		if u.GetKind() == "VirtualDisk" {
			disks++
		}
	}
	for _, u := range objects {
		if u.GetKind() != "VirtualMachine" {
			continue
		}
		if name, _, _ := unstructured.NestedString(u.Object, "spec", "provisioning", "userDataRef", "name"); name != "" && !names["Secret/"+name] {
			t.Errorf("%s refers to Secret %s, which is not there", u.GetName(), name)
		}
		refs, _, _ := unstructured.NestedSlice(u.Object, "spec", "blockDeviceRefs")
		for _, r := range refs {
			ref := r.(map[string]any)
			if ref["kind"] == "VirtualDisk" && disks > 0 && !names["VirtualDisk/"+ref["name"].(string)] {
				t.Errorf("%s refers to VirtualDisk %s, which is not there", u.GetName(), ref["name"])
			}
		}
	}
}

// TestSuitesNeedNoConfiguration renders the suites without the transformer configurations that they bring along, and
// compares with what plain kustomize makes of them with these.
func TestSuitesNeedNoConfiguration(t *testing.T) {
	files := suites(t)
	bare := fstest.MapFS{}
	for name, f := range files {
		bare[name] = &fstest.MapFile{Data: bytes.ReplaceAll(f.Data, []byte("configurations:\n  - transformer.yaml\n"), nil)}
	}
	if bytes.Contains(bare["complex-test/kustomization.yaml"].Data, []byte("configurations")) {
		t.Fatal("the configurations are still there")
	}
	for name := range files {
		dir := path.Dir(name)
		if path.Base(name) != "kustomization.yaml" || !topLevel(dir) {
			continue
		}
		t.Run(dir, func(t *testing.T) {
			want := plainKustomize(t, files, dir)
			for input, source := range map[string]fs.FS{"with its configuration": files, "without": bare} {
				got, err := New(1).Render(t.Context(), "", source, Options{Path: dir})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, contents(got)); diff != "" {
					t.Errorf("%s: %s", input, diff)
				}
			}
		})
	}
}

func topLevel(dir string) bool { return path.Dir(dir) == "." }

// plainKustomize builds with krusty alone. It does not know which of our kinds have no namespace.
func plainKustomize(t testing.TB, files fstest.MapFS, dir string) []map[string]any {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	for name, f := range files {
		if err := memory.WriteFile("/"+name, f.Data); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	for _, r := range built.Resources() {
		fields, err := plainMap(r.YNode())
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{Object: fields}
		if kind := u.GetKind(); kind == "ClusterVirtualImage" || kind == "VirtualMachineClass" {
			unstructured.RemoveNestedField(u.Object, "metadata", "namespace")
		}
		objects = append(objects, u.Object)
	}
	return objects
}

func contents(objects []*unstructured.Unstructured) []map[string]any {
	var list []map[string]any
	for _, u := range objects {
		StripOrigin(u)
		list = append(list, u.Object)
	}
	return list
}

package catalog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/internal/ociarchive"
	"slipway.dev/slipway/test/engine/image"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	found, err := FindRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFindRoot(t *testing.T) {
	want := root(t)
	for _, start := range []string{want, filepath.Join(want, "catalog"), filepath.Dir(filepath.Dir(want))} {
		got, err := FindRoot(start)
		if err != nil || got != want {
			t.Errorf("from %s: %s, %v; want %s", start, got, err, want)
		}
	}
	if _, err := FindRoot(t.TempDir()); err == nil || !strings.Contains(err.Error(), "--source") {
		t.Errorf("elsewhere: %v", err)
	}
}

// Whatever an image is made of is compiled by the same component or an earlier one.
func TestImagesAreMadeOfWhatIsCompiled(t *testing.T) {
	components, err := New(root(t), Names())
	if err != nil {
		t.Fatal(err)
	}
	var compiled, images []string
	for _, component := range components {
		for _, module := range component.Modules {
			if _, err := os.Stat(filepath.Join(module.Dir, "go.mod")); err != nil {
				t.Errorf("module %s: %v", module.Name, err)
			}
			for _, command := range module.Commands {
				if slices.Contains(compiled, command.Name) {
					t.Errorf("%s is compiled twice", command.Name)
				}
				compiled = append(compiled, command.Name)
			}
		}
		for _, recipe := range component.Images {
			if slices.Contains(images, recipe.Name) {
				t.Errorf("image %s is made twice", recipe.Name)
			}
			images = append(images, recipe.Name)
			for _, program := range recipe.Programs {
				if !slices.Contains(compiled, program) {
					t.Errorf("%s of image %s is not compiled", program, recipe.Name)
				}
			}
			if !contains(recipe, recipe.Config.Entrypoint[0]) {
				t.Errorf("image %s starts %s, which is not in it", recipe.Name, recipe.Config.Entrypoint[0])
			}
			for path := range recipe.Capabilities {
				if _, ok := recipe.Programs[path]; !ok {
					t.Errorf("image %s has a capability for %s, which is not in it", recipe.Name, path)
				}
			}
		}
	}
}

func contains(recipe image.Recipe, path string) bool {
	if _, ok := recipe.Programs[path]; ok {
		return true
	}
	return slices.ContainsFunc(recipe.Files, func(e ociarchive.Entry) bool { return e.Name == path })
}

func TestUnknownComponent(t *testing.T) {
	if _, err := New(root(t), []string{"podman"}); err == nil || !strings.Contains(err.Error(), Kubernetes) {
		t.Errorf("got %v, want the choice named", err)
	}
}

func TestRequired(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go.mod")
	text := "module x\n\nrequire k8s.io/one v1.2.3\n\nrequire (\n\tk8s.io/two v2.0.0 // indirect\n)\n\nreplace k8s.io/three => k8s.io/three v3.0.0\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]string{"k8s.io/one": "v1.2.3", "k8s.io/two": "v2.0.0", "k8s.io/three": ""} {
		got, err := required(file, module)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", module, got, err, want)
		}
	}
}

func TestKubernetesKnowsItsVersion(t *testing.T) {
	got := strings.Join(versionFlags("v1.36.3"), " ")
	want := "-X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 " +
		"-X k8s.io/component-base/version.gitMinor=36 -X k8s.io/component-base/version.gitTreeState=clean -X k8s.io/component-base/version.gitCommit="
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

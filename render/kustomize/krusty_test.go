package kustomize

import (
	"fmt"
	"io/fs"
	"math/rand"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// theirs is what kustomize builds from files as they are.
func theirs(t *testing.T, files fstest.MapFS) []map[string]any {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	for name, f := range files {
		if err := memory.WriteFile("/"+name, f.Data); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(&krusty.Options{Reorder: krusty.ReorderOptionNone, PluginConfig: types.DisabledPluginConfig()}).Run(memory, "/")
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	for _, r := range built.Resources() {
		fields, err := plainMap(r.YNode())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fields)
	}
	return list
}

// ours is what we build from them.
func ours(t *testing.T, files fs.FS, o Options) []map[string]any {
	t.Helper()
	objects := mustRender(t, files, o)
	for _, u := range objects {
		StripOrigin(u)
	}
	return contents(objects)
}

// withoutReferences removes what kustomize does not change: our kinds' references to what was renamed.
func withoutReferences(objects []map[string]any) []map[string]any {
	for _, object := range objects {
		if object["kind"] == "VirtualMachine" {
			delete(object, "spec")
		}
	}
	return objects
}

// TestRandomTreesAreBuiltAsKustomizeBuildsThem compares all that we show to kustomize with what stands in the tree.
func TestRandomTreesAreBuiltAsKustomizeBuildsThem(t *testing.T) {
	for seed := range int64(25) {
		files, _ := randomTree(rand.New(rand.NewSource(seed))) //nolint:gosec // repeatable on purpose
		got := withoutReferences(ours(t, files, Options{}))
		if diff := cmp.Diff(withoutReferences(theirs(t, files)), got); diff != "" {
			t.Fatalf("tree %d (-kustomize +ours):\n%s", seed, diff)
		}
	}
}

func TestPatchesDoWhatTheyDoInKustomize(t *testing.T) {
	const target = "  target: {kind: VirtualMachine}\n"
	for name, patch := range map[string]string{
		"YAML":             "- op: add\n  path: /spec/cpu\n  value: {cores: 4, fraction: 5%, on: yes, big: 9007199254740993, half: 0.50, text: 'a<b'}\n",
		"JSON":             `[{"op": "add", "path": "/spec/cpu", "value": {"cores": 4}}]`,
		"flow":             "# a note\n[{op: add, path: /spec/cpu, value: 4}]\n",
		"anchors":          "- &a {op: add, path: /spec/cpu, value: 1}\n- {<<: *a, path: /spec/memory}\n",
		"lines":            "- op: add\n  path: /spec/data\n  value: |\n    #cloud-config\n    ---\n    a: \"b\"\n",
		"second document":  "- {op: add, path: /spec/a, value: 1}\n---\n- {op: add, path: /spec/b, value: 1}\n",
		"nothing":          "# a note\n[]\n",
		"date":             "- {op: add, path: /spec/day, value: 2024-01-02}\n",
		"a merge":          "apiVersion: virtualization.deckhouse.io/v1alpha2\nkind: VirtualMachine\nmetadata: {name: x}\nspec: {cpu: {cores: 4}}\n",
		"a list to remove": "- {op: remove, path: /spec/list/0}\n",
	} {
		t.Run(name, func(t *testing.T) {
			files := source("kustomization.yaml", "resources: [a.yaml]\npatches:\n- path: p.yaml\n"+target, "p.yaml", patch, "a.yaml", manifest("VirtualMachine", "a", "spec: {list: [a, b]}\n"))
			want := theirs(t, files)
			if diff := cmp.Diff(want, ours(t, files, Options{})); diff != "" {
				t.Errorf("of a file (-kustomize +ours):\n%s", diff)
			}
			inline := Options{Patches: []Patch{{Patch: patch, Target: &Selector{Kind: "VirtualMachine"}}}}
			if diff := cmp.Diff(want, ours(t, fstest.MapFS{"a.yaml": files["a.yaml"]}, inline)); diff != "" {
				t.Errorf("of an Environment (-kustomize +ours):\n%s", diff)
			}
		})
	}
}

func TestPatchesThatKustomizeRefusesAreQuotedAsTheyStand(t *testing.T) {
	for name, o := range map[string]Options{
		"YAML that begins as JSON": {Patches: []Patch{{Patch: "[{op: add, path: /spec/cpu, value: 4}]", Target: &Selector{Kind: "VirtualMachine"}}}},
		"no target":                {Patches: []Patch{{Patch: "- {op: add, path: /spec/cpu, value: 4}"}}},
		"no operations":            {Patches: []Patch{{Patch: "- op\n", Target: &Selector{Kind: "VirtualMachine"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, source("a.yaml", manifest("VirtualMachine", "a")), o, strings.TrimSpace(o.Patches[0].Patch))
		})
	}
}

// TestADirectoryThatIsUsedAgainStaysOne: lists of lists that are used twice would grow without end.
func TestADirectoryThatIsUsedAgainStaysOne(t *testing.T) {
	files := source("d8/kustomization.yaml", "resources: [a.yaml]\n", "d8/a.yaml", manifest("ConfigMap", "a"))
	for i := range 8 {
		files[fmt.Sprintf("d%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [l, r]\n")}
		for _, side := range []string{"l", "r"} {
			files[fmt.Sprintf("d%d/%s/kustomization.yaml", i, side)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../../d%d]\n", i+1)}
		}
	}
	s := newScan(t.Context(), newJail(files), nil)
	if _, err := s.start("d0"); err != nil {
		t.Fatal(err)
	}
	if list := s.folders[absolute("d0")].k.Resources; len(list) != 2 {
		t.Errorf("kustomize would read %d resources, want the first and the directory that uses it again", len(list))
	}
}

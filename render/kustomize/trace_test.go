package kustomize

import (
	"math/rand"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// withNotes renders a tree whose objects say where they stand, however it is made.
func withNotes(t *testing.T, files fstest.MapFS, o Options) []map[string]any {
	t.Helper()
	s := newScan(t.Context(), newJail(files), o.Keys)
	s.removals = true
	objects, err := s.render(o)
	if err != nil || len(s.places) > 0 && !s.noted {
		t.Fatal(err, s.noted)
	}
	return contents(objects)
}

func TestTheOrderSaysWhatNotesSay(t *testing.T) {
	for seed := range int64(25) {
		files, o := randomTree(rand.New(rand.NewSource(seed))) //nolint:gosec // repeatable on purpose
		s := newScan(t.Context(), newJail(files), nil)
		objects, err := s.render(o)
		if err != nil || s.noted {
			t.Fatal(err, s.noted)
		}
		if diff := cmp.Diff(withNotes(t, files, o), contents(objects)); diff != "" {
			t.Fatalf("tree %d (-notes +order):\n%s", seed, diff)
		}
	}
}

func TestPlacesOfObjectsThatKustomizeDoesNotReturnInOrder(t *testing.T) {
	two := manifest("VirtualDisk", "a") + "---\n" + manifest("VirtualDisk", "b")
	tests := map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"deleted by a file":    {source("kustomization.yaml", "resources: [all.yaml]\npatches: [{path: p.yaml}]\n", "all.yaml", two, "p.yaml", "$patch: delete\n"+manifest("VirtualDisk", "a")), []string{"VirtualDisk/b from all.yaml:6"}},
		"deleted by a text":    {source("kustomization.yaml", "resources: [all.yaml]\npatches: [{target: {name: a}, patch: '{apiVersion: v1, kind: X, metadata: {name: x}, $patch: delete}'}]\n", "all.yaml", two), []string{"VirtualDisk/b from all.yaml:6"}},
		"deleted in disguise":  {source("kustomization.yaml", "resources: [all.yaml]\npatches: [{target: {name: a}, patch: '{apiVersion: v1, kind: X, metadata: {name: x}, \"\\x24patch\": delete}'}]\n", "all.yaml", two), []string{"VirtualDisk/b from all.yaml:6"}},
		"local":                {source("all.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: x, annotations: {config.kubernetes.io/local-config: 'true'}}\n---\n"+two), []string{"VirtualDisk/a from all.yaml:5", "VirtualDisk/b from all.yaml:10"}},
		"made local":           {source("kustomization.yaml", "resources: [all.yaml]\npatches: [{target: {name: a}, patch: '[{\"op\": \"add\", \"path\": \"/metadata/annotations/config.kubernetes.io~1local-config\", \"value\": \"true\"}]'}]\n", "all.yaml", two), []string{"VirtualDisk/b from all.yaml:6"}},
		"of another kind":      {source("kustomization.yaml", "resources: [all.yaml]\npatches: [{target: {name: a}, options: {allowKindChange: true}, patch: '[{\"op\": \"replace\", \"path\": \"/kind\", \"value\": \"VirtualImage\"}]'}]\n", "all.yaml", two), []string{"VirtualImage/a from all.yaml:1", "VirtualDisk/b from all.yaml:6"}},
		"sorted":               {source("kustomization.yaml", "resources: [all.yaml]\nsortOptions: {order: legacy}\n", "all.yaml", manifest("VirtualDisk", "b")+"---\n"+manifest("VirtualDisk", "a")), []string{"VirtualDisk/a from all.yaml:6", "VirtualDisk/b from all.yaml:1"}},
		"from a plugin":        {source("kustomization.yaml", "resources: [all.yaml]\ngenerators: ['{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: g}, literals: [a=b], options: {disableNameSuffixHash: true}}']\n", "all.yaml", two), []string{"VirtualDisk/a from all.yaml:1", "VirtualDisk/b from all.yaml:6", "ConfigMap/g from :0"}},
		"without annotations":  {source("kustomization.yaml", "resources: [all.yaml]\npatches: [{target: {name: a}, patch: '- {op: remove, path: /metadata/annotations}'}]\n", "all.yaml", two), []string{"VirtualDisk/a from all.yaml:1", "VirtualDisk/b from all.yaml:6"}},
		"a list within a list": {source("all.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMapList\n  metadata: {name: l}\n  items:\n  - "+"{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"), []string{"ConfigMap/b from :0"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(mustRender(t, test.files, Options{}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

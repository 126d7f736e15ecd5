package position

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/render/kustomize"
)

func TestSplit(t *testing.T) {
	tests := map[string][]string{
		"spec.cpu":               {"spec", "cpu"},
		"spec.disks[0].name":     {"spec", "disks", "0", "name"},
		"metadata.labels[a.b/c]": {"metadata", "labels", "a.b/c"},
		"":                       nil,
		"a[":                     {"a", ""},
	}
	for path, want := range tests {
		if diff := cmp.Diff(want, Split(path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("spec.disks[0].labels[a.b]")
	f.Fuzz(func(_ *testing.T, path string) { Split(path) }) // must end
}

const machine = `# a comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
data:
  one: x
  text: |
    first
    second ${B}
`

func TestFinder(t *testing.T) {
	finder := NewFinder(fstest.MapFS{"dir/a.yaml": {Data: []byte(machine)}})
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "a", "annotations": map[string]any{kustomize.OriginAnnotation: "dir/a.yaml:2"}},
		"data":     map[string]any{"one": "patched", "text": "first\nsecond ${B}\n"},
	}}
	line := func(_ string, line int) int { return line }
	tests := map[string]struct{ got, want int }{
		"a field":                  {line(finder.Field(u, []string{"metadata", "name"})), 5},
		"one that was patched":     {line(finder.Field(u, []string{"data", "one"})), 2},
		"one that is missing":      {line(finder.Field(u, []string{"data", "two"})), 6},
		"one that a patch brought": {line(finder.Present(u, []string{"data", "two"})), 2},
		"within a block":           {line(finder.Text(u, []string{"data", "text"}, "${B}")), 10},
		"text that was patched":    {line(finder.Text(u, []string{"data", "one"}, "${B}")), 2},
		"the object":               {line(finder.Field(u, nil)), 2},
		"without a source":         {line(NewFinder(nil).Field(u, []string{"data", "one"})), 2},
	}
	for name, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: line %d, want %d", name, test.got, test.want)
		}
	}
	if !finder.Clear(u, []string{"metadata", "name"}) || finder.Clear(u, []string{"data", "one"}) || finder.Clear(u, []string{"data", "two"}) {
		t.Error("Clear does not tell what stands in the source from what does not")
	}
}

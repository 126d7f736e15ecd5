package kustomize

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

func TestBlockTextMeansTheSame(t *testing.T) {
	for name, value := range map[string]any{
		"scalars":        map[string]any{"a": int64(-1), "b": 0.5, "c": true, "d": nil, "e": ""},
		"nested":         map[string]any{"a": map[string]any{"b": []any{[]any{int64(1), "x"}, map[string]any{"c": "d"}}}},
		"empty":          []any{map[string]any{}, []any{}, nil},
		"looks like it":  []any{"true", "1", "null", "~", "- a", "a: b", "# no", "{", "---", "<<"},
		"keys":           map[string]any{"a: b": "c", "": "d", "- e": "f", "true": "g", "<<": "h", "\"": "i"},
		"long key":       map[string]any{"a": map[string]any{strings.Repeat("<", 2000): "b", "c": "d"}},
		"lines":          "#cloud-config\n---\nhostname: web\r\n\ttab \n\n",
		"odd characters": "\x00\x07\x1b\x7f\u0085\u00a0\u2028\u2029\ufeff\"\\'é😀",
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]any{"value": value}
			text, err := blockText(want)
			if err != nil {
				t.Fatal(err)
			}
			documents, err := parse("block.yaml", text)
			if err != nil || len(documents) != 1 {
				t.Fatalf("%d documents, %v, of\n%s", len(documents), err, text)
			}
			got, err := plainMap(documents[0].root)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s\nof\n%s", err, diff, text)
			}
		})
	}
}

func TestBlockTextReplacesWhatIsNoText(t *testing.T) {
	text, err := blockText(map[string]any{"value": "a\xff\xfeb"})
	if want := "---\n\"value\": \"a\ufffd\ufffdb\"\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
}

func TestKustomizeSeesNoFlowStyle(t *testing.T) {
	text, err := blockText(map[string]any{"spec": map[string]any{"cpu": map[string]any{"cores": int64(2)}, "list": []any{"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := yaml.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if again := n.MustString(); strings.ContainsAny(again, "{[") {
		t.Errorf("kustomize would write it as\n%s", again)
	}
}

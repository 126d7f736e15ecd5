package kustomize

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// wantFault renders and checks that a fault of the source says a text.
func wantFault(t *testing.T, files fstest.MapFS, o Options, says string) {
	t.Helper()
	_, err := Render(t.Context(), files, o)
	var fault *Error
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), says) {
		t.Errorf("Render() = %.500v, want a fault that says %q", err, says)
	}
}

// doubling is a chain of directories of which each uses the next one twice.
func doubling(n int) fstest.MapFS {
	files := source(fmt.Sprintf("d%d/kustomization.yaml", n), "resources: [a.yaml]\n", fmt.Sprintf("d%d/a.yaml", n), manifest("ConfigMap", "a"))
	for i := range n {
		for _, side := range []string{"l", "r"} {
			files[fmt.Sprintf("d%d/%s/kustomization.yaml", i, side)] = &fstest.MapFile{Data: fmt.Appendf(nil, "nameSuffix: -%s\nresources: [../../d%d]\n", side, i+1)}
		}
		files[fmt.Sprintf("d%d/kustomization.yaml", i)] = &fstest.MapFile{Data: []byte("resources: [l, r]\n")}
	}
	return files
}

func TestLimits(t *testing.T) {
	configMaps := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\n", i)
		}
		return b.String()
	}
	manyPatches := "resources: [a.yaml]\npatches:\n" + strings.Repeat("- {target: {kind: X}, patch: '- {op: remove, path: /a}'}\n", maxPatches+1)
	tests := map[string]struct {
		files fstest.MapFS
		path  string
		says  string
	}{
		"bytes of a file":        {source("a.yaml", manifest("ConfigMap", "a")+strings.Repeat("#"+strings.Repeat("x", 1023)+"\n", maxFile/1024+1)), "", "has more than 8388608 bytes"},
		"documents of a file":    {source("a.yaml", configMaps(maxDocuments+1)), "", "has more than 10000 documents"},
		"objects":                {source("a.yaml", configMaps(maxDocuments), "b.yaml", strings.ReplaceAll(configMaps(maxDocuments), "name: c", "name: d"), "c.yaml", manifest("ConfigMap", "e")), "", "the source has more than 20000 objects"},
		"objects that multiply":  {doubling(30), "d0", "the source has more than 20000 objects"},
		"objects of one build":   {source("kustomization.yaml", "resources: [a.yaml]\nconfigMapGenerator: [{name: c1, behavior: merge, literals: [a=b]}]\n", "a.yaml", configMaps(maxWhole)), "", "must be built together"},
		"patches":                {source("kustomization.yaml", manyPatches, "a.yaml", manifest("ConfigMap", "a")), "", "the source has more than 2000 patches"},
		"path":                   {source("kustomization.yaml", "resources: ["+strings.Repeat("a/", maxPath)+"]\n"), "", "a path is longer than 1024 bytes"},
		"aliases":                {source("a.yaml", bomb()), "", "aliases written out"},
		"kustomizations in each": {deep(maxNesting + 1), "d0", "more than 64 inside each other"},
		"directories":            {source(strings.Repeat("d/", maxNesting+2)+"a.yaml", manifest("ConfigMap", "a")), "", "more than 64 directories deep"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wantFault(t, test.files, Options{Path: test.path}, test.says) })
	}
}

// deep is a chain of directories of which each uses the next.
func deep(n int) fstest.MapFS {
	files := fstest.MapFS{}
	for i := range n {
		files[fmt.Sprintf("d%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../d%d]\n", i+1)}
	}
	return files
}

func TestBytesOfAllFiles(t *testing.T) {
	files := source("kustomization.yaml", "configMapGenerator: [{name: a, files: [a, b]}]\n", "a", strings.Repeat("a", 1000), "b", strings.Repeat("b", 1000))
	s := newScan(t.Context(), newJail(files), nil)
	s.jail.most = 1500
	var fault *Error
	if _, err := s.render(Options{}); err == nil || !strings.Contains(err.Error(), "split the source") {
		t.Errorf("Render() = %v (%v), want that too much is read", err, fault)
	}
}

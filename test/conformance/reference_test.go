package conformance

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// reference finds a folder of the reference data, or skips the test.
func reference(t *testing.T, folder string) fs.FS {
	t.Helper()
	root := os.Getenv("SLIPWAY_REFERENCE")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "data", "dvp", folder)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no reference data here (%s): set SLIPWAY_REFERENCE to the folder that holds data/dvp to compare with it", dir)
	}
	return os.DirFS(dir)
}

// definitions reads all CustomResourceDefinitions of a tree, by plural name.
func definitions(t *testing.T, tree fs.FS) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := fs.Glob(tree, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		raw, err := fs.ReadFile(tree, file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(raw, crd); err != nil {
			t.Fatalf("parse %s: %v", file, err)
		}
		if strings.HasSuffix(crd.Spec.Group, "virtualization.deckhouse.io") {
			out[crd.Spec.Names.Plural] = crd
		}
	}
	return out
}

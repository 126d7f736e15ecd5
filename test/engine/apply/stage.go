package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Stage is a number of objects that are applied in one go.
type Stage struct {
	// Name tells stages apart.
	Name string
	// Objects in the order in which they are applied.
	Objects []*unstructured.Unstructured
	// Subresource to apply them to; empty means the objects themselves.
	Subresource string
}

// ReadStages reads the List files of a directory in the order of their names, which without the ending are the names of
// the stages.
func ReadStages(dir string) ([]Stage, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	slices.Sort(names)
	stages := make([]Stage, 0, len(names))
	for _, name := range names {
		objects, err := readList(name)
		if err != nil {
			return nil, err
		}
		stages = append(stages, Stage{Name: strings.TrimSuffix(filepath.Base(name), ".json"), Objects: objects})
	}
	return stages, nil
}

func readList(path string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a stage: %w", err)
	}
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	objects := make([]*unstructured.Unstructured, 0, len(list.Items))
	for _, item := range list.Items {
		objects = append(objects, &unstructured.Unstructured{Object: item})
	}
	return objects, nil
}

// ReadFiles reads the objects of a tree's YAML files.
func ReadFiles(tree fs.FS) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(tree, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		found, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// Parse reads documents of YAML, one object each.
func Parse(text []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("decode: %w", err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

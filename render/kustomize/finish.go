package kustomize

import (
	"fmt"
	"maps"
	"math"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// kustomizeOrigin is the annotation in which kustomize says where an object came from.
const kustomizeOrigin = "config.kubernetes.io/origin"

// diagnose explains why kustomize failed. Two objects of one name, in different directories, are looked for; for the
// rest its own words must do.
func (s *scan) diagnose(dir string, err error) error {
	seen := map[identity]place{}
	for _, p := range s.places {
		if first, twice := seen[p.identity]; twice && first.position() != p.position() {
			return duplicate(first, p)
		}
		seen[p.identity] = p
	}
	file, known := s.kustomizationOf(dir)
	if known != nil || file == "" {
		file = path.Join(dir, konfig.DefaultKustomizationFileName())
	}
	words := strings.NewReplacer(treeRoot+"/", "", overlayRoot+"/", "", overlayRoot, "the overrides of the Environment").Replace(err.Error())
	return &Error{File: file, Problem: "does not build: " + words}
}

// finish turns what kustomize built into objects.
func (s *scan) finish(built resmap.ResMap, o Options) ([]*unstructured.Unstructured, error) {
	origins := index(s.places)
	seen := make(map[identity]place, built.Size())
	objects := make([]*unstructured.Unstructured, 0, built.Size())
	for _, r := range built.Resources() {
		u, err := object(r.YNode())
		if err != nil {
			return nil, fmt.Errorf("read rendered %s: %w", r.CurId(), err)
		}
		origin, err := r.GetOrigin()
		if err != nil {
			return nil, fmt.Errorf("read origin of %s: %w", r.CurId(), err)
		}
		where := origins.find(u, origin)
		where.identity = identify(u.GetAPIVersion(), u.GetKind(), u.GetNamespace(), u.GetName())
		if first, twice := seen[where.identity]; twice {
			return nil, duplicate(first, where)
		}
		seen[where.identity] = where
		dress(u, o.CommonMetadata)
		setOrigin(u, where)
		objects = append(objects, u)
	}
	return objects, nil
}

// dress sets the metadata that an Environment wants on all objects, and removes kustomize's own.
func dress(u *unstructured.Unstructured, common Metadata) {
	annotations := u.GetAnnotations()
	delete(annotations, kustomizeOrigin)
	if len(annotations)+len(common.Annotations) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	} else {
		u.SetAnnotations(merged(annotations, common.Annotations))
	}
	if len(common.Labels) > 0 {
		u.SetLabels(merged(u.GetLabels(), common.Labels))
	}
}

func merged(base, above map[string]string) map[string]string {
	out := make(map[string]string, len(base)+len(above))
	maps.Copy(out, base)
	maps.Copy(out, above)
	return out
}

// object converts a YAML node into the types that unstructured objects are made of.
func object(n *yaml.Node) (*unstructured.Unstructured, error) {
	value, err := plainValue(n)
	if err != nil {
		return nil, err
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("line %d: not a mapping", n.Line)
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

func plainValue(n *yaml.Node) (any, error) {
	n = resolved(n)
	switch n.Kind {
	case yaml.MappingNode:
		return plainMap(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			value, err := plainValue(item)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case yaml.ScalarNode:
		return plainScalar(n)
	}
	return nil, fmt.Errorf("line %d: unexpected kind of YAML node", n.Line)
}

func plainMap(n *yaml.Node) (map[string]any, error) {
	fields := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		value, err := plainValue(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		fields[n.Content[i].Value] = value
	}
	return fields, nil
}

// plainScalar follows the core schema of YAML. Dates stay strings: JSON has none.
func plainScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case yaml.NodeTagNull:
		return nil, nil
	case yaml.NodeTagString, "!!timestamp":
		return n.Value, nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, fmt.Errorf("line %d: %w", n.Line, err)
	}
	switch v := value.(type) {
	case int:
		return int64(v), nil
	case uint64:
		return float64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("line %d: %s is not a number that JSON can hold", n.Line, n.Value)
		}
	}
	return value, nil
}

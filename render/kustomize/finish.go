package kustomize

import (
	"fmt"
	"maps"
	"math"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

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
	words := strings.NewReplacer(treeRoot+"/", "", manifestRoot+"/", "", clearRoot+"/", "", overlayRoot+"/", "", overlayRoot, "the overrides of the Environment").Replace(err.Error())
	return &Error{File: file, Problem: "does not build: " + words}
}

// finish turns what kustomize built into objects.
func (s *scan) finish(list []built, o Options) ([]*unstructured.Unstructured, error) {
	objects, err := s.read(list)
	if err != nil {
		return nil, err
	}
	names := newRenames(objects)
	out := make([]*unstructured.Unstructured, len(objects))
	for i, r := range objects {
		if err := names.follow(r); err != nil {
			return nil, err
		}
		dress(r.Unstructured, o.CommonMetadata)
		out[i] = r.Unstructured
	}
	return out, nil
}

// read converts the objects and refuses two of one name.
func (s *scan) read(list []built) ([]rendered, error) {
	seen := make(map[identity]place, len(list))
	objects := make([]rendered, 0, len(list))
	for _, r := range list {
		fields, err := plainMap(r.YNode())
		if err != nil {
			return nil, fmt.Errorf("read rendered %s: %w", r.CurId(), err)
		}
		u := &unstructured.Unstructured{Object: fields}
		setOrigin(u, r.source)
		now := place{identify(u.GetAPIVersion(), u.GetKind(), u.GetNamespace(), u.GetName()), r.source.file, r.source.line}
		if first, twice := seen[now.identity]; twice {
			return nil, duplicate(first, now)
		}
		seen[now.identity] = now
		objects = append(objects, rendered{u, r.source})
	}
	return objects, nil
}

// dress sets the metadata that an Environment wants on all objects.
func dress(u *unstructured.Unstructured, common Metadata) {
	if len(common.Annotations) > 0 {
		u.SetAnnotations(merged(u.GetAnnotations(), common.Annotations))
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

// plainValue converts a YAML node into the types that unstructured objects are made of.
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
	n = resolved(n)
	fields := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.ShortTag() == mergeTag {
			continue
		}
		value, err := plainValue(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		fields[key.Value] = value
	}
	return fields, mergeInto(fields, n)
}

const mergeTag = "!!merge"

// mergeInto adds what the merge keys of a mapping bring and the mapping itself does not have.
func mergeInto(fields map[string]any, n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() != mergeTag {
			continue
		}
		sources := []*yaml.Node{resolved(n.Content[i+1])}
		if sources[0].Kind == yaml.SequenceNode {
			sources = sources[0].Content
		}
		for _, source := range sources {
			if source = resolved(source); source.Kind != yaml.MappingNode {
				return fmt.Errorf("line %d: << must name a mapping", source.Line)
			}
			more, err := plainMap(source)
			if err != nil {
				return err
			}
			for key, value := range more {
				if _, has := fields[key]; !has {
					fields[key] = value
				}
			}
		}
	}
	return nil
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

package kustomize

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// decodeKustomization reads a kustomization file and refuses what kustomize does not know.
func decodeKustomization(d document, content []byte) (*types.Kustomization, error) {
	if d.root.Kind != yaml.MappingNode {
		return nil, &Error{File: d.file, Line: d.root.Line, Problem: "is not a kustomization: it is not a mapping of fields"}
	}
	if err := unknownField(d.file, d.root, reflect.TypeFor[types.Kustomization](), ""); err != nil {
		return nil, err
	}
	k := &types.Kustomization{}
	text, err := sigsyaml.YAMLToJSON(content)
	if err == nil {
		err = json.Unmarshal(text, k)
	}
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch):
		return nil, &Error{
			File: d.file, Line: lineOf(d.root, strings.Split(mismatch.Field, ".")),
			Problem: fmt.Sprintf("%s must be %s, not %s", mismatch.Field, plain(mismatch.Type), mismatch.Value),
		}
	case err != nil:
		return nil, &Error{File: d.file, Line: d.root.Line, Problem: "is not a kustomization: " + err.Error()}
	}
	k.FixKustomization()
	if problems := k.EnforceFields(); len(problems) > 0 {
		return nil, &Error{File: d.file, Line: d.root.Line, Problem: strings.Join(problems, ", ")}
	}
	return k, nil
}

// plain names a Go type for somebody who writes YAML.
func plain(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "a mapping"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	}
	return "a number"
}

// lineOf returns the line of a field, or of the nearest one above it that is there.
func lineOf(n *yaml.Node, path []string) int {
	line := n.Line
	for _, key := range path {
		next := child(n, key)
		if next == nil {
			return line
		}
		n, line = next, next.Line
	}
	return line
}

// unknownField compares the keys of a node with the fields of a Go type, to name what the JSON decoder would only
// refuse.
func unknownField(file string, n *yaml.Node, t reflect.Type, path string) error {
	n = resolved(n)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			if err := unknownField(file, item, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		return unknownKey(file, n, t, path)
	}
	return nil
}

func unknownKey(file string, n *yaml.Node, t reflect.Type, path string) error {
	known := fields(t)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		full := strings.TrimPrefix(path+"."+key.Value, ".")
		if key.ShortTag() == mergeTag {
			continue
		}
		field, found := known[strings.ToLower(key.Value)]
		if !found {
			return &Error{
				File: file, Line: key.Line, Problem: fmt.Sprintf("unknown field %q in a kustomization", full),
				Remedy: "check its spelling and indentation",
			}
		}
		if err := unknownField(file, n.Content[i+1], field, full); err != nil {
			return err
		}
	}
	return nil
}

// fields lists the fields of a struct by their names in JSON, in lower case because the decoder does not care either.
func fields(t reflect.Type) map[string]reflect.Type {
	list := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inline := f.Anonymous && name == ""
		switch {
		case inline && f.Type.Kind() == reflect.Struct:
			for key, inner := range fields(f.Type) {
				list[key] = inner
			}
		case inline && f.Type.Kind() == reflect.Pointer:
			for key, inner := range fields(f.Type.Elem()) {
				list[key] = inner
			}
		case f.IsExported() && name != "-":
			if name == "" {
				name = f.Name
			}
			list[strings.ToLower(name)] = f.Type
		}
	}
	return list
}

package schema

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/render/position"
)

// Validator checks objects of the kinds that it has definitions of, and of those of Kubernetes itself. It is safe for
// concurrent use.
type Validator struct {
	// kinds are compiled when they are first met: their rules take time and memory.
	kinds map[schema.GroupVersionKind]func() (*kind, error)
}

// New returns a validator for the served versions of some definitions.
func New(definitions ...*apiextensionsv1.CustomResourceDefinition) *Validator {
	v := &Validator{kinds: map[schema.GroupVersionKind]func() (*kind, error){}}
	for _, d := range definitions {
		for _, version := range d.Spec.Versions {
			if !version.Served || version.Schema == nil {
				continue
			}
			gvk := schema.GroupVersionKind{Group: d.Spec.Group, Version: version.Name, Kind: d.Spec.Names.Kind}
			v.kinds[gvk] = sync.OnceValues(func() (*kind, error) { return compile(gvk, version.Schema) })
		}
	}
	return v
}

// FromFS returns a validator for the definitions that stand in the YAML files of a directory.
func FromFS(files fs.FS) (*Validator, error) {
	list, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, f := range list {
		if f.IsDir() || path.Ext(f.Name()) != ".yaml" {
			continue
		}
		content, err := fs.ReadFile(files, f.Name())
		if err != nil {
			return nil, fmt.Errorf("read definition: %w", err)
		}
		d := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, d); err != nil {
			return nil, fmt.Errorf("parse definition %s: %w", f.Name(), err)
		}
		definitions = append(definitions, d)
	}
	return New(definitions...), nil
}

// Validate returns what is wrong with rendered objects; nil means nothing. source is the tree that they were rendered
// from, for the lines of fields; when it is nil, the line of the object must do. A definition that does not compile is
// reported as a fault of the objects of its kind.
func (v *Validator) Validate(ctx context.Context, objects []*unstructured.Unstructured, source fs.FS) Errors {
	var faults Errors
	finder := position.NewFinder(source)
	for _, u := range objects {
		for _, f := range v.faults(ctx, u) {
			faults = append(faults, at(u, finder, f))
		}
	}
	return faults
}

func (v *Validator) faults(ctx context.Context, u *unstructured.Unstructured) []fault {
	compiled, found := v.kinds[u.GroupVersionKind()]
	if !found {
		if t := nativeType(u.GroupVersionKind()); t != nil {
			return checkNative(t, u)
		}
		return nil
	}
	k, err := compiled()
	if err != nil {
		return []fault{{problem: err.Error()}}
	}
	return k.check(ctx, u)
}

// at says where in the source a fault stands.
func at(u *unstructured.Unstructured, finder *position.Finder, f fault) Error {
	name := u.GetKind() + "/" + u.GetName()
	if namespace := u.GetNamespace(); namespace != "" {
		name = u.GetKind() + "/" + namespace + "/" + u.GetName()
	}
	steps := position.Split(f.field)
	e := Error{Object: name, Field: f.field, Problem: f.problem}
	if f.value != "" && finder.Clear(u, steps) {
		e.Problem = f.value + " " + f.problem
	}
	if e.File, e.Line = finder.Field(u, steps); f.unknown {
		e.File, e.Line = finder.Present(u, steps)
	}
	return e
}

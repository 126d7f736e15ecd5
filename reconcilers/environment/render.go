package environment

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/render/kustomize"
	validation "slipway.dev/slipway/render/schema"
)

// rendered are the objects of one revision, ready to be compared and applied.
// They are shared between runs and never changed.
type rendered struct {
	objects []*unstructured.Unstructured
	// origins tell where in the source an object comes from: `file:line`.
	origins map[plan.Key]string
}

// render makes the objects of a tree: rendered, checked, named for their
// Environment and stamped.
func (p *Planner) render(ctx context.Context, env *v1alpha1.Environment, tree Tree) (rendered, error) {
	objects, err := p.Renderer.Render(ctx, tree.Digest, tree.Files, optionsOf(env.Spec))
	if err != nil {
		return rendered{}, renderError(err)
	}
	if p.Validator != nil {
		if errs := p.Validator.Validate(ctx, objects, tree.Files); len(errs) > 0 {
			return rendered{}, &Refusal{Reason: v1alpha1.ValidationFailedReason, Err: errs}
		}
	}
	return p.prepare(env, objects)
}

// renderError tells faults of the source from our own.
func renderError(err error) error {
	var fault *kustomize.Error
	var faults validation.Errors
	switch {
	case errors.As(err, &fault):
		return &Refusal{Reason: v1alpha1.RenderFailedReason, Err: fault}
	case errors.As(err, &faults):
		return &Refusal{Reason: v1alpha1.ValidationFailedReason, Err: faults}
	default:
		return fmt.Errorf("render the revision: %w", err)
	}
}

func optionsOf(spec v1alpha1.EnvironmentSpec) kustomize.Options {
	o := kustomize.Options{
		Path:            spec.Path,
		TargetNamespace: spec.TargetNamespace,
		NamePrefix:      spec.NamePrefix,
		NameSuffix:      spec.NameSuffix,
		Components:      spec.Components,
	}
	for _, i := range spec.Images {
		o.Images = append(o.Images, kustomize.Image{Name: i.Name, NewName: i.NewName, NewTag: i.NewTag, Digest: i.Digest})
	}
	for _, patch := range spec.Patches {
		o.Patches = append(o.Patches, kustomize.Patch{Patch: patch.Patch, Target: selectorOf(patch.Target)})
	}
	if m := spec.CommonMetadata; m != nil {
		o.CommonMetadata = kustomize.Metadata{Labels: m.Labels, Annotations: m.Annotations}
	}
	return o
}

func selectorOf(s *v1alpha1.Selector) *kustomize.Selector {
	if s == nil {
		return nil
	}
	return &kustomize.Selector{
		Group: s.Group, Version: s.Version, Kind: s.Kind, Name: s.Name, Namespace: s.Namespace,
		LabelSelector: s.LabelSelector, AnnotationSelector: s.AnnotationSelector,
	}
}

// prepare gives objects their namespace, owner and stamp, and refuses those that
// cannot be told apart.
func (p *Planner) prepare(env *v1alpha1.Environment, objects []*unstructured.Unstructured) (rendered, error) {
	r := rendered{objects: objects, origins: make(map[plan.Key]string, len(objects))}
	scopes := p.scopesOf(objects)
	owner := client.ObjectKeyFromObject(env)
	for _, u := range objects {
		origin := originOf(u)
		kustomize.StripOrigin(u)
		if u.GetName() == "" {
			return rendered{}, refuse(v1alpha1.ValidationFailedReason, "%sa %s has no name; give it metadata.name", prefixOf(origin), u.GetKind())
		}
		if err := scopes.place(u, env.Namespace); err != nil {
			return rendered{}, refuse(v1alpha1.KindNotFoundReason, "%s%s: %w", prefixOf(origin), plan.KeyOf(u), err)
		}
		plan.Own(u, owner)
		plan.Normalize(u)
		plan.Stamp(u)
		key := plan.KeyOf(u)
		if first, taken := r.origins[key]; taken {
			return rendered{}, refuse(v1alpha1.DuplicateObjectReason, "%s%s is there twice%s; remove one", prefixOf(origin), key, alsoIn(first))
		}
		r.origins[key] = origin
	}
	return r, nil
}

func originOf(u *unstructured.Unstructured) string {
	file, line := kustomize.Origin(u)
	if line > 0 {
		return file + ":" + strconv.Itoa(line)
	}
	return file
}

func prefixOf(origin string) string {
	if origin == "" {
		return ""
	}
	return origin + ": "
}

func alsoIn(origin string) string {
	if origin == "" {
		return ""
	}
	return ", also in " + origin
}

// scopes know which kinds have namespaces: from the cluster, or from definitions
// in the revision itself.
type scopes struct {
	mapper  meta.RESTMapper
	defined map[schema.GroupKind]bool
}

func (p *Planner) scopesOf(objects []*unstructured.Unstructured) scopes {
	s := scopes{mapper: p.Mapper, defined: map[schema.GroupKind]bool{}}
	for _, u := range objects {
		if u.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(u.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(u.Object, "spec", "scope")
		s.defined[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	return s
}

// place sets or clears the namespace of an object as its kind requires.
func (s scopes) place(u *unstructured.Unstructured, namespace string) error {
	namespaced, err := s.namespaced(u.GroupVersionKind())
	switch {
	case err != nil:
		return err
	case !namespaced:
		u.SetNamespace("")
	case u.GetNamespace() == "":
		u.SetNamespace(namespace)
	}
	return nil
}

func (s scopes) namespaced(gvk schema.GroupVersionKind) (bool, error) {
	mapping, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err == nil {
		return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
	}
	if namespaced, defined := s.defined[gvk.GroupKind()]; defined && meta.IsNoMatchError(err) {
		return namespaced, nil
	}
	if meta.IsNoMatchError(err) {
		return false, fmt.Errorf("the cluster has no kind %s in %s; install its definition or correct apiVersion and kind", gvk.Kind, gvk.GroupVersion())
	}
	return false, fmt.Errorf("look up kind %s: %w", gvk.Kind, err)
}

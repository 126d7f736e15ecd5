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
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/render/kustomize"
	validation "slipway.dev/slipway/render/schema"
	"slipway.dev/slipway/sources/store"
)

// rendered are the objects of one revision, ready to be compared and applied.
// They are shared between runs and never changed.
type rendered struct {
	objects []*unstructured.Unstructured
	// origins tell where in the source an object comes from: `file:line`.
	origins map[plan.Key]string
	// hidden are the fields that hold values of Secrets.
	hidden map[plan.Key][]string
	// secrets are those values.
	secrets []string
}

// render makes the desired objects, or finds them as the last run made them.
func (r *reconciler) render(ctx context.Context, s *scope) flow.Outcome {
	versions, err := inputVersions(ctx, r.reader, s.env)
	if err != nil {
		return stop(v1alpha1.RenderFailedReason, err)
	}
	key := fmt.Sprintf("%s/%s/%d%s", s.env.UID, s.tree.Digest, s.env.Generation, versions)
	if s.findings.renderKey != key || s.findings.refusal != nil && s.asked() {
		desired, err := r.planner.render(ctx, s.client, s.env, s.tree)
		*s.findings = findings{desired: desired, expressions: s.findings.expressions}
		if errors.Is(err, store.ErrNotFound) {
			return s.lost(s.tree.Revision)
		}
		if err != nil && !errors.As(err, &s.findings.refusal) {
			return stop(v1alpha1.RenderFailedReason, err)
		}
		s.findings.renderKey = key
		r.memory.want(keyOf(s.env), desired)
	}
	s.desired = s.findings.desired
	s.client = discreet{s.client, s.desired.secrets}
	return refused(s)
}

// refused ends a run whose revision does not render.
func refused(s *scope) flow.Outcome {
	refusal := s.findings.refusal
	switch {
	case refusal == nil:
		return flow.Done()
	case refusal.Reason == v1alpha1.InputNotFoundReason: // it is watched
		s.findings.renderKey = ""
		return flow.Wait(refusal.Reason, 0, "%s", clip(refusal.Error()))
	case refusal.Reason == v1alpha1.KindNotFoundReason:
		s.findings.renderKey = "" // its definition may come
	}
	return stop(refusal.Reason, refusal)
}

// Objects renders a tree as it would be for an Environment, before the objects
// get their namespace and owner. Variables and keys come through the reader.
func (p *Planner) Objects(ctx context.Context, reader client.Reader, env *v1alpha1.Environment, tree Tree) (render.Result, error) {
	in, err := readInputs(ctx, reader, env)
	if err != nil {
		return render.Result{}, err
	}
	return p.objects(ctx, env, tree, in)
}

func (p *Planner) objects(ctx context.Context, env *v1alpha1.Environment, tree Tree, in inputs) (render.Result, error) {
	options := optionsOf(env.Spec)
	options.Keys = in.keys
	result, err := p.Renderer.Render(ctx, render.Input{Files: tree.Files, Digest: tree.Digest, Options: options, Variables: in.variables})
	if err != nil {
		return render.Result{}, renderError(err)
	}
	return result, nil
}

// render makes the objects of a tree: rendered, checked, named for their
// Environment and stamped.
func (p *Planner) render(ctx context.Context, reader client.Reader, env *v1alpha1.Environment, tree Tree) (rendered, error) {
	in, err := readInputs(ctx, reader, env)
	if err != nil {
		return rendered{}, err
	}
	result, err := p.objects(ctx, env, tree, in)
	if err != nil {
		return rendered{}, err
	}
	desired, err := p.prepare(env, result)
	desired.secrets = secretValues(in.variables)
	return desired, err
}

// renderError tells faults of the source from our own.
func renderError(err error) error {
	fault := render.Fault(err)
	var fields validation.Errors
	switch {
	case fault == nil:
		return fmt.Errorf("render the revision: %w", err)
	case errors.As(fault, &fields):
		return &Refusal{Reason: v1alpha1.ValidationFailedReason, Err: fields}
	}
	return &Refusal{Reason: v1alpha1.RenderFailedReason, Err: fault}
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
func (p *Planner) prepare(env *v1alpha1.Environment, result render.Result) (rendered, error) {
	r := rendered{origins: make(map[plan.Key]string, len(result.Objects)), hidden: map[plan.Key][]string{}}
	scopes := p.scopesOf(result.Objects)
	owner := client.ObjectKeyFromObject(env)
	for i, shared := range result.Objects {
		u := shared.DeepCopy()
		r.objects = append(r.objects, u)
		origin := originOf(u)
		kustomize.StripOrigin(u)
		if u.GetName() == "" {
			return rendered{}, refuse(v1alpha1.ValidationFailedReason, "%sa %s has no name; give it metadata.name", prefixOf(origin), u.GetKind())
		}
		if err := scopes.place(u, env.Namespace); err != nil {
			return rendered{}, refuse(v1alpha1.KindNotFoundReason, "%s%s: %w", prefixOf(origin), plan.KeyOf(u), err)
		}
		if err := keepsPodPolicy(u, env.Namespace); err != nil {
			return rendered{}, refuse(v1alpha1.ChangeRefusedReason, "%s%w", prefixOf(origin), err)
		}
		plan.Own(u, owner)
		plan.Normalize(u)
		plan.Stamp(u)
		key := plan.KeyOf(u)
		if first, taken := r.origins[key]; taken {
			return rendered{}, refuse(v1alpha1.DuplicateObjectReason, "%s%s is there twice%s; remove one", prefixOf(origin), key, alsoIn(first))
		}
		r.origins[key] = origin
		if fields := result.Hidden[i]; fields != nil {
			r.hidden[key] = fields
		}
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

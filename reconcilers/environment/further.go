package environment

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

// further reads the objects of spec.healthChecks that the revision does not have
// itself, with the rights of the ServiceAccount.
func (r *reconciler) further(ctx context.Context, s *scope) ([]v1alpha1.ObjectReference, error) {
	refs, err := r.furtherReferences(s)
	if err != nil {
		return nil, err
	}
	if r.observers != nil {
		r.observers.want(keyOf(s.env), s.account, refs)
	}
	for _, ref := range refs {
		u, err := r.readFurther(ctx, s, ref)
		if err != nil {
			return nil, fmt.Errorf("spec.healthChecks: %w", err)
		}
		if u != nil {
			s.live[plan.KeyOfReference(ref)] = u
		}
	}
	return refs, nil
}

func (r *reconciler) readFurther(ctx context.Context, s *scope, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	if r.observers != nil {
		if u, known, err := r.observers.read(keyOf(s.env), s.account, ref); known || err != nil {
			return u, err
		}
	}
	return directReader{s.client}.read(ctx, ref)
}

// furtherReferences are the health checks of a spec that are no object of the
// revision, each once.
func (r *reconciler) furtherReferences(s *scope) ([]v1alpha1.ObjectReference, error) {
	var refs []v1alpha1.ObjectReference
	seen := map[plan.Key]bool{}
	for i, check := range s.env.Spec.HealthChecks {
		ref, err := r.checked(s.env, check)
		if err != nil {
			return nil, refuse(v1alpha1.KindNotFoundReason, "spec.healthChecks[%d]: %w", i, err)
		}
		key := plan.KeyOfReference(ref)
		if _, own := s.desired.origins[key]; own || seen[key] {
			continue
		}
		seen[key] = true
		refs = append(refs, ref)
	}
	return refs, nil
}

// checked is the object that a health check names.
func (r *reconciler) checked(env *v1alpha1.Environment, check v1alpha1.HealthCheck) (v1alpha1.ObjectReference, error) {
	gvk := schema.FromAPIVersionAndKind(check.APIVersion, check.Kind)
	ref := v1alpha1.ObjectReference{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: check.Namespace, Name: check.Name}
	namespaced, err := scopes{mapper: r.planner.Mapper}.namespaced(gvk)
	switch {
	case err != nil:
		return ref, err
	case !namespaced:
		ref.Namespace = ""
	case ref.Namespace != "":
	case env.Spec.TargetNamespace != "":
		ref.Namespace = env.Spec.TargetNamespace
	default:
		ref.Namespace = env.Namespace
	}
	return ref, nil
}

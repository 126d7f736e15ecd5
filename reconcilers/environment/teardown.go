package environment

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// release carries out the deletion policy.
func (r *reconciler) release(ctx context.Context, s *scope) flow.Outcome {
	if s.env.Spec.DeletionPolicy == v1alpha1.DeletionOrphan || r.namespaceGoes(ctx, s.env.Namespace) {
		return r.forget(s)
	}
	if len(s.inventory)+len(s.tombstones) == 0 {
		return r.forget(s)
	}
	if outcome := r.impersonate(s); !outcome.IsDone() {
		return outcome
	}
	live, err := r.read(ctx, s, references(s.env, rendered{}))
	if err != nil {
		return stop(v1alpha1.DeletingReason, err)
	}
	s.see(live)
	p := r.planner.compute(forDeletion(s.env), s.env.Status.LastAppliedRevision, rendered{}, live)
	s.plan = &p
	return r.letGo(ctx, s)
}

// forget drops what this process remembers; the objects stay.
func (r *reconciler) forget(s *scope) flow.Outcome {
	r.memory.forget(keyOf(s.env))
	if r.observers != nil {
		r.observers.forget(keyOf(s.env))
	}
	return flow.Done()
}

// letGo deletes and releases, and waits for the end of what must be gone.
func (r *reconciler) letGo(ctx context.Context, s *scope) flow.Outcome {
	var failed []error
	for _, c := range s.plan.With(plan.Retain) {
		failed = append(failed, r.retain(ctx, s, c))
	}
	destroyed := s.plan.With(plan.Destroy)
	for _, c := range destroyed {
		if !c.NeedsApproval {
			failed = append(failed, r.destroy(ctx, s, c))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return stop(v1alpha1.PruneFailedReason, fmt.Errorf("%w; correct it, or set spec.deletionPolicy to Orphan to leave all objects", err))
	}
	if waiting := needingApproval(destroyed); len(waiting) > 0 {
		return flow.Stall(v1alpha1.ApprovalRequiredReason, "%s is deleted only with approval: add the UIDs to spec.prune.approved, or set spec.deletionPolicy to Orphan to leave all objects", list(waiting))
	}
	if s.env.Spec.DeletionPolicy == v1alpha1.DeletionWaitForTermination && len(destroyed) > 0 {
		return flow.Wait(v1alpha1.DeletingReason, replaceDelay, "waiting until %s is gone", list(destroyed))
	}
	return r.forget(s)
}

// forDeletion is the Environment with the prune policy that its deletion policy
// means.
func forDeletion(env *v1alpha1.Environment) *v1alpha1.Environment {
	env = env.DeepCopy()
	switch env.Spec.DeletionPolicy {
	case v1alpha1.DeletionMirrorPrune:
	case v1alpha1.DeletionDelete, v1alpha1.DeletionWaitForTermination:
		env.Spec.Prune.Policy = v1alpha1.PruneRetain
		for _, e := range env.Status.Inventory {
			env.Spec.Prune.Approved = append(env.Spec.Prune.Approved, e.UID)
		}
		for _, t := range env.Status.Tombstones {
			env.Spec.Prune.Approved = append(env.Spec.Prune.Approved, t.UID)
		}
	default:
		env.Spec.Prune.Policy = v1alpha1.PruneRetain
	}
	return env
}

// namespaceGoes tells whether the whole namespace is being deleted: then nothing
// in it can be kept, and nobody may be left to act as.
func (r *reconciler) namespaceGoes(ctx context.Context, name string) bool {
	namespace := &corev1.Namespace{}
	err := r.reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
	return err == nil && namespace.DeletionTimestamp != nil
}

package environment

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	// recordDelay lets the run that recorded end before the one that applies.
	recordDelay = time.Millisecond
	// replaceDelay is how often an object that nobody watches is looked at while it
	// is being deleted.
	replaceDelay = 5 * time.Second
)

// apply carries out the plan in its order. One object that is refused does not
// keep the others back.
func (r *reconciler) apply(ctx context.Context, s *scope) flow.Outcome {
	changes := s.plan.With(plan.Create, plan.Live, plan.Restart, plan.Replace)
	desired := make(map[plan.Key]*unstructured.Unstructured, len(s.desired.objects))
	for _, u := range s.desired.objects {
		desired[plan.KeyOf(u)] = u
	}
	var failed []error
	var replacing []plan.Change
	for _, c := range changes {
		done, err := r.applyOne(ctx, s, c, desired[c.Key()])
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s%w", at(s.desired.origins, c.Key()), err))
		case !done:
			replacing = append(replacing, c)
		}
	}
	switch {
	case len(failed) > 0:
		return stop(v1alpha1.ApplyFailedReason, errors.Join(failed...))
	case len(replacing) > 0:
		return flow.Wait(v1alpha1.ReplacingReason, replaceDelay, "waiting until %s is deleted, to make it again", list(replacing))
	}
	r.settle(ctx, s, len(changes))
	return flow.Done()
}

// settle records that the revision is in the cluster as a whole.
func (r *reconciler) settle(ctx context.Context, s *scope, changes int) {
	s.applied = true
	for _, c := range s.plan.With(plan.None) {
		s.own(c.Ref, c.UID)
	}
	if changes > 0 || s.env.Status.LastAppliedRevision != s.tree.Revision {
		flow.Emit(ctx, v1alpha1.AppliedReason, "%s: %s", s.tree.Revision, plan.Headline(*s.plan))
	}
}

// applyOne carries out one change. It is not done while an object that is to be
// made again is still being deleted.
func (r *reconciler) applyOne(ctx context.Context, s *scope, c plan.Change, desired *unstructured.Unstructured) (done bool, err error) {
	switch {
	case c.Reason == plan.ReasonTerminating:
		return false, nil
	case c.Verdict == plan.Replace:
		return false, r.remove(ctx, s, s.live[c.Key()])
	}
	applied := desired.DeepCopy()
	err = s.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner(v1alpha1.FieldManager), client.ForceOwnership)
	if err != nil {
		return false, fmt.Errorf("apply %s: %w", c.Key(), err)
	}
	if _, kept := applied.GetLabels()[v1alpha1.ReleasedLabel]; kept {
		if err := r.mark(ctx, s, applied, nil); err != nil {
			return false, err
		}
		flow.Emit(ctx, v1alpha1.AdoptedReason, "%s is back in the source and is used again as it is", c.Key())
	}
	r.saw(s, applied)
	s.own(plan.ReferenceOf(applied), applied.GetUID())
	return true, nil
}

// saw remembers an object as our write left it.
func (r *reconciler) saw(s *scope, u *unstructured.Unstructured) {
	u = slim(u)
	r.memory.write(u)
	s.live[plan.KeyOf(u)] = u
}

// mark sets or, with nil, removes the label of an object that was released. It
// is a patch, because an apply of nothing but a label would take away the rest.
func (r *reconciler) mark(ctx context.Context, s *scope, u *unstructured.Unstructured, value any) error {
	patch := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{
		"uid":    string(u.GetUID()),
		"labels": map[string]any{v1alpha1.ReleasedLabel: value},
	}}}
	content, err := patch.MarshalJSON()
	if err != nil {
		return fmt.Errorf("mark %s: %w", plan.KeyOf(u), err)
	}
	if err := s.client.Patch(ctx, u, client.RawPatch(types.MergePatchType, content), client.FieldOwner(v1alpha1.FieldManager)); err != nil {
		return fmt.Errorf("mark %s: %w", plan.KeyOf(u), err)
	}
	return nil
}

// remove deletes exactly the object that was looked at.
func (r *reconciler) remove(ctx context.Context, s *scope, u *unstructured.Unstructured) error {
	if u == nil || u.GetDeletionTimestamp() != nil {
		return nil
	}
	uid := u.GetUID()
	target := blank(plan.ReferenceOf(u))
	target.SetNamespace(u.GetNamespace())
	target.SetName(u.GetName())
	err := s.client.Delete(ctx, target, client.Preconditions{UID: &uid}, client.PropagationPolicy("Background"))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete %s: %w", plan.KeyOf(u), err)
	}
	r.memory.gone(plan.KeyOf(u))
	return nil
}

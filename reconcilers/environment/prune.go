package environment

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// prune lets go of what left the source. It runs only after the new revision
// works.
func (r *reconciler) prune(ctx context.Context, s *scope) flow.Outcome {
	var failed []error
	for _, c := range s.plan.With(plan.Retain) {
		if err := r.retain(ctx, s, c); err != nil {
			failed = append(failed, err)
		}
	}
	destroyed := s.plan.With(plan.Destroy)
	var going []plan.Change
	for _, c := range destroyed {
		if c.NeedsApproval {
			continue
		}
		if err := r.destroy(ctx, s, c); err != nil {
			failed = append(failed, err)
			continue
		}
		going = append(going, c)
	}
	switch waiting := needingApproval(destroyed); {
	case len(failed) > 0:
		return stop(v1alpha1.PruneFailedReason, errors.Join(failed...))
	case len(waiting) > 0:
		return flow.Stall(v1alpha1.ApprovalRequiredReason, "%s left the source and is deleted only with approval: add the UIDs to spec.prune.approved, or put it back into the source", list(waiting))
	case len(going) > 0:
		return flow.Wait(v1alpha1.ProgressingReason, wakeAfter(s), "waiting until %s is gone", list(going))
	}
	return flow.Done()
}

// dropVanished takes out of the records what is no longer there, or no longer
// ours.
func (s *scope) dropVanished() {
	planned := make(map[plan.Key]bool, len(s.plan.Changes))
	for _, c := range s.plan.Changes {
		planned[c.Key()] = true
	}
	for key := range s.inventory {
		if !planned[key] {
			s.disown(key)
		}
	}
	for key, tombstone := range s.tombstones {
		if live := s.live[key]; live == nil || live.GetUID() != tombstone.UID {
			delete(s.tombstones, key)
		}
	}
}

// retain releases an object into a tombstone.
func (r *reconciler) retain(ctx context.Context, s *scope, c plan.Change) error {
	live := s.live[c.Key()].DeepCopy()
	if err := r.mark(ctx, s, live, "true"); err != nil {
		return err
	}
	r.saw(s, live)
	s.bury(c)
	flow.Emit(ctx, v1alpha1.RetainedReason, "%s left the source and is kept (uid %s); it is adopted again when it comes back", c.Key(), c.UID)
	return nil
}

func (s *scope) bury(c plan.Change) {
	s.disown(c.Key())
	s.tombstones[c.Key()] = v1alpha1.Tombstone{
		ObjectReference: c.Ref, UID: c.UID, ReleasedAt: metav1.NewTime(s.now), Revision: s.tree.Revision,
	}
}

func (r *reconciler) destroy(ctx context.Context, s *scope, c plan.Change) error {
	live := s.live[c.Key()]
	if err := r.remove(ctx, s, live); err != nil {
		return err
	}
	if !terminating(live) {
		flow.Emit(ctx, v1alpha1.PrunedReason, "%s left the source and is deleted", c.Key())
	}
	return nil
}

func terminating(u *unstructured.Unstructured) bool {
	return u != nil && u.GetDeletionTimestamp() != nil
}

func countText(status *v1alpha1.HealthStatus) string {
	return fmt.Sprintf("%d of %d healthy", status.Healthy, status.Total)
}

func plural(total int32) string {
	if total == 1 {
		return "the only object is healthy"
	}
	return fmt.Sprintf("all %d objects are healthy", total)
}

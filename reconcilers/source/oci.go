package source

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// refused is the scope of a kind that is not implemented.
type refused struct {
	repo *v1alpha1.OCIRepository
	now  time.Time
}

// refusal answers every OCIRepository with a condition, so that nobody waits for
// an artifact that never comes.
func refusal(c clock.PassiveClock) flow.Definition[*v1alpha1.OCIRepository, *refused] {
	return flow.Definition[*v1alpha1.OCIRepository, *refused]{
		Name: OCIName,
		New:  func() *v1alpha1.OCIRepository { return &v1alpha1.OCIRepository{} },
		Scope: func(repo *v1alpha1.OCIRepository) *refused {
			return &refused{repo: repo, now: c.Now()}
		},
		Steps: []flow.Step[*refused]{{Name: "accept", Do: func(context.Context, *refused) flow.Outcome {
			return flow.Stall(v1alpha1.NotSupportedReason, "this version does not implement OCIRepository; use a GitRepository")
		}}},
		Report: func(s *refused, result flow.Result) {
			s.repo.Status.ObservedGeneration = s.repo.Generation
			s.repo.Status.LastHandledReconcileAt = s.repo.Annotations[v1alpha1.RequestedAtAnnotation]
			conditions := flow.Conditions{List: &s.repo.Status.Conditions, Generation: s.repo.Generation, Now: s.now}
			conditions.Kstatus(result, "", "")
		},
	}
}

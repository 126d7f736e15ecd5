package source

import (
	"context"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// verify checks the signatures of a revision before anything of it is fetched.
func (b *bundles) verify(_ context.Context, s *bundleScope) flow.Outcome {
	if s.repo.Spec.Verification == nil || s.verified() {
		return flow.Done()
	}
	return flow.Stall(v1alpha1.NotSupportedReason, "this version does not implement spec.verify; remove it")
}

package environment

import (
	"context"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/environment/health"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// conclude says whether the Environment is ready, or works and waits: for its source, or for people.
func conclude(_ context.Context, s *scope) flow.Outcome {
	if s.stale != nil {
		return *s.stale
	}
	reason := ""
	for _, h := range s.health {
		switch {
		case h.Reason == health.ReasonAwaitingRestart:
			reason = v1alpha1.AwaitingRestartReason
		case h.State == health.Suspended && reason == "":
			reason = v1alpha1.ActionRequiredReason
		}
	}
	if reason == "" {
		return flow.Done()
	}
	return flow.Wait(reason, wakeAfter(s), "%s", healthMessage(healthStatus(s.health, s.judged)))
}

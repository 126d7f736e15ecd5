package source

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/scrub"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// observed is a scope that remembers how the last run ended.
type observed interface{ conditions() []metav1.Condition }

// secretive is a scope that knows what must not be printed.
type secretive interface{ scrubber() scrub.Scrubber }

// scrubbed takes credentials out of an error before it becomes a condition, an event and a line of the log.
func scrubbed[S any](outcome flow.Outcome, s S) flow.Outcome {
	if !outcome.IsFailed() {
		return outcome
	}
	var clean scrub.Scrubber
	if knows, able := any(s).(secretive); able {
		clean = knows.scrubber()
	}
	return flow.Fail(outcome.Reason(), clean.Error(outcome.Err()))
}

// guarded posts one event when a run stops for a reason it did not stop for before.
func guarded[S observed](name string, do func(context.Context, S) flow.Outcome) flow.Step[S] {
	return flow.Step[S]{Name: name, Do: func(ctx context.Context, s S) flow.Outcome {
		outcome := scrubbed(do(ctx, s), s)
		ready := meta.FindStatusCondition(s.conditions(), v1alpha1.ReadyCondition)
		if (outcome.IsFailed() || outcome.IsStalled()) && (ready == nil || ready.Reason != outcome.Reason()) {
			flow.Warn(ctx, outcome.Reason(), "%s", outcome.Message())
		}
		return outcome
	}}
}

package environment

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const defaultTimeout = 5 * time.Minute

// guarded gives a step the Environment's timeout and retry interval. When the run
// stops there, it looks at the health of what runs, and posts one event if the
// reason is a new one.
func (r *reconciler) guarded(name string, do func(context.Context, *scope) flow.Outcome) flow.Step[*scope] {
	return flow.Step[*scope]{Name: name, Do: func(ctx context.Context, s *scope) flow.Outcome {
		limited, cancel := context.WithTimeout(ctx, timeoutOf(s.env))
		defer cancel()
		outcome := do(limited, s)
		if !outcome.IsDone() {
			r.survey(limited, s)
		}
		if (outcome.IsStalled() || outcome.IsFailed()) && s.isNews(outcome) {
			flow.Warn(ctx, outcome.Reason(), "%s", outcome.Message())
		}
		if interval := s.env.Spec.RetryInterval; outcome.IsFailed() && interval != nil {
			s.retrying = true
			return flow.Wait(outcome.Reason(), interval.Duration, "%s", outcome.Message())
		}
		return outcome
	}}
}

func timeoutOf(env *v1alpha1.Environment) time.Duration {
	if env.Spec.Timeout == nil || env.Spec.Timeout.Duration <= 0 {
		return defaultTimeout
	}
	return env.Spec.Timeout.Duration
}

// isNews tells whether the Ready condition says something else.
func (s *scope) isNews(outcome flow.Outcome) bool {
	ready := meta.FindStatusCondition(s.env.Status.Conditions, v1alpha1.ReadyCondition)
	return ready == nil || ready.Reason != outcome.Reason() || ready.Message != outcome.Message()
}

// messageLimit keeps a condition within what the API server takes, and readable.
const messageLimit = 4096

func clip(text string) string {
	if len(text) <= messageLimit {
		return text
	}
	return text[:messageLimit] + "…"
}

// stop makes the outcome of an error: what somebody has to change stalls, what
// may pass fails.
func stop(reason string, err error) flow.Outcome {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Reason == v1alpha1.KindNotFoundReason:
		return flow.Fail(refusal.Reason, clipped{err}) // the definition may come by another way
	case errors.As(err, &refusal):
		return flow.Stall(refusal.Reason, "%s", clip(refusal.Error()))
	case apierrors.IsForbidden(err):
		return flow.Fail(v1alpha1.ForbiddenReason, clipped{err})
	default:
		return flow.Fail(reason, clipped{err})
	}
}

// clipped is an error with a text of limited length.
type clipped struct{ error }

func (c clipped) Error() string { return clip(c.error.Error()) }
func (c clipped) Unwrap() error { return c.error }

package operation

import (
	"cmp"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// report writes the operation's status from the scope.
func report(s *scope, result flow.Result) {
	if s.finished {
		return
	}
	status := &s.op.Status
	status.ObservedGeneration = s.op.Generation
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.op.Generation, Now: s.now}
	reportSignal(conditions, s, result.Outcome)
	status.Phase = reportCompletion(conditions, s, result.Outcome)
}

func reportSignal(c flow.Conditions, s *scope, outcome flow.Outcome) {
	switch {
	case s.signaled:
		c.True(vmopcondition.SignalSentType, vmopcondition.SignalSentSuccess, "")
	case outcome.Reason() == vmopcondition.SignalSentError:
		c.False(vmopcondition.SignalSentType, vmopcondition.SignalSentError, outcome.Message())
	}
}

func reportCompletion(c flow.Conditions, s *scope, outcome flow.Outcome) v1alpha2.OperationPhase {
	switch {
	case outcome.IsDone():
		c.True(vmopcondition.CompletedType, vmopcondition.OperationCompleted, "")
		return v1alpha2.OperationCompleted
	case outcome.IsStalled():
		c.False(vmopcondition.CompletedType, outcome.Reason(), outcome.Message())
		return v1alpha2.OperationFailed
	case s.signaled:
		c.False(vmopcondition.CompletedType, cmp.Or(s.stage, inProgress[s.op.Spec.Type], vmopcondition.MigrationPending), outcome.Message())
		return v1alpha2.OperationInProgress
	default:
		c.False(vmopcondition.CompletedType, outcome.Reason(), outcome.Message())
		return v1alpha2.OperationPending
	}
}

package operation

import (
	"context"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// inProgress is the reason while an operation goes on.
var inProgress = map[v1alpha2.OperationType]vmopcondition.Reason{
	v1alpha2.OperationStart:   vmopcondition.StartInProgress,
	v1alpha2.OperationStop:    vmopcondition.StopInProgress,
	v1alpha2.OperationRestart: vmopcondition.RestartInProgress,
}

// follow tells whether what was requested has happened.
func (o operator) follow(ctx context.Context, s *scope) flow.Outcome {
	if moves(s.op.Spec.Type) {
		return o.followMove(ctx, s)
	}
	waiting := flow.Wait(inProgress[s.op.Spec.Type], 0, "waiting for machine %s", s.machine.Name)
	if s.op.Spec.Type == v1alpha2.OperationStop {
		if stopped(s) {
			return succeed(ctx, s)
		}
		return waiting
	}
	if s.machine.Spec.RunPolicy == v1alpha2.AlwaysOffPolicy {
		return fail(ctx, vmopcondition.NotApplicableForVirtualMachineRunPolicy, "the run policy became AlwaysOff meanwhile")
	}
	instance := s.another()
	switch {
	case instance == nil:
		return waiting
	case instance.IsRunning():
		return succeed(ctx, s)
	case instance.IsFinal():
		return fail(ctx, vmopcondition.OperationFailed, "the machine ended while it started: %s", instance.Status.Reason)
	default:
		return waiting
	}
}

// stopped tells that the instance is off and that no other is about to come.
func stopped(s *scope) bool {
	switch {
	case s.instance != nil && !s.mine():
		return true
	case s.instance != nil:
		return s.instance.IsFinal() && s.instance.DeletionTimestamp.IsZero() && len(s.engine.Status.StateChangeRequests) == 0
	case s.engine == nil:
		return true
	}
	_, asked := s.engine.Annotations[annotations.StartRequested]
	return !asked && len(s.engine.Status.StateChangeRequests) == 0
}

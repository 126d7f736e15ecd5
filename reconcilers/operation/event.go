package operation

import (
	"context"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Events of an operation.
const (
	eventStarted   = "VirtualMachineOperationStarted"
	eventSucceeded = "VirtualMachineOperationSucceeded"
	eventFailed    = "VirtualMachineOperationFailed"
)

// succeed ends the operation.
func succeed(ctx context.Context, s *scope) flow.Outcome {
	flow.Emit(ctx, eventSucceeded, "%s of machine %s is done", s.op.Spec.Type, s.machine.Name)
	return flow.Done()
}

// fail ends the operation for good.
func fail(ctx context.Context, reason, format string, args ...any) flow.Outcome {
	outcome := flow.Stall(reason, format, args...)
	flow.Warn(ctx, eventFailed, "%s", outcome.Message())
	return outcome
}

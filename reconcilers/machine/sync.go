package machine

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/machine/power"
)

// Reasons of waiting, and events that tell of the power.
const (
	reasonDependencies = "WaitingForDependencies"
	reasonBackoff      = "Backoff"
	eventStarted       = "Started"
	eventStopped       = "Stopped"
	eventRestarted     = "Restarted"
)

// again is how soon a run is repeated whose objects are outdated.
const again = time.Millisecond

// syncPower does what the power table asks for. A request is sent with the
// version of the KubeVirt machine that was read, so that none is sent twice.
func (e *engineer) syncPower(ctx context.Context, s *scope) flow.Outcome {
	in := power.Input{
		Policy:           s.vm.Spec.RunPolicy,
		Instance:         s.state(),
		StartRequested:   s.startRequested(),
		RestartRequested: s.restartRequested(),
		Ready:            s.complete() && s.devicesHeld && s.applied(),
	}
	s.action = power.Wanted(in)
	if s.engine == nil {
		return flow.Done()
	}
	if len(s.engine.Status.StateChangeRequests) > 0 {
		return e.clearWhen(ctx, s, s.inFlight(kubevirtv1.StartRequest))
	}
	action := power.Decide(in)
	if action == power.Keep && s.action != power.Keep {
		return flow.Wait(reasonDependencies, 0, "the machine is switched on when what it depends on is ready")
	}
	if action == power.Keep {
		return e.clearWhen(ctx, s, s.state().Alive() || s.vm.Spec.RunPolicy == v1alpha2.AlwaysOffPolicy)
	}
	if delay := e.delay(s); action == power.Start && delay > 0 {
		return flow.Wait(reasonBackoff, delay, "the instance ended soon after its start; it is started again in %s", delay.Round(time.Second))
	}
	return e.act(ctx, s, action)
}

// act sends the request and then forgets that it was asked for.
func (e *engineer) act(ctx context.Context, s *scope, action power.Action) flow.Outcome {
	err := e.send(ctx, s.engine, requests(action, s.instance))
	if apierrors.IsConflict(err) {
		return flow.Wait(reasonWriting, again, "the KubeVirt machine was changed meanwhile")
	}
	if err != nil {
		return flow.Fail(reasonWriting, err)
	}
	switch action {
	case power.Stop:
		flow.Emit(ctx, eventStopped, "stopping the machine, because its run policy is %s", s.vm.Spec.RunPolicy)
	case power.Restart:
		flow.Emit(ctx, eventRestarted, "restarting the machine")
	default:
		flow.Emit(ctx, eventStarted, "starting the machine")
	}
	return e.clearWhen(ctx, s, action != power.Stop)
}

// requests are the state changes that make KubeVirt do the action. An instance
// that has ended by itself is stopped first all the same: under the run strategy
// Manual KubeVirt never starts another one while it is there.
func requests(action power.Action, instance *kubevirtv1.VirtualMachineInstance) []kubevirtv1.VirtualMachineStateChangeRequest {
	var list []kubevirtv1.VirtualMachineStateChangeRequest
	if action != power.Start || instance != nil && instance.IsFinal() {
		uid := instance.UID
		list = append(list, kubevirtv1.VirtualMachineStateChangeRequest{Action: kubevirtv1.StopRequest, UID: &uid})
	}
	if action == power.Start || action == power.Restart {
		list = append(list, kubevirtv1.VirtualMachineStateChangeRequest{Action: kubevirtv1.StartRequest})
	}
	return list
}

func (e *engineer) send(ctx context.Context, engine *kubevirtv1.VirtualMachine, list []kubevirtv1.VirtualMachineStateChangeRequest) error {
	before := engine.DeepCopy()
	engine.Status.StateChangeRequests = list
	err := e.client.Status().Patch(ctx, engine, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), fieldManager)
	if err != nil {
		return fmt.Errorf("request a state change of KubeVirt machine %s: %w", engine.Name, err)
	}
	return nil
}

// clearWhen forgets requests that were fulfilled, or never will be.
func (e *engineer) clearWhen(ctx context.Context, s *scope, over bool) flow.Outcome {
	_, start := s.engine.Annotations[startAnnotation]
	_, restart := s.engine.Annotations[restartAnnotation]
	if !over || !start && !restart {
		return flow.Done()
	}
	before := s.engine.DeepCopy()
	delete(s.engine.Annotations, startAnnotation)
	delete(s.engine.Annotations, restartAnnotation)
	err := e.client.Patch(ctx, s.engine, client.MergeFrom(before), fieldManager)
	if client.IgnoreNotFound(err) != nil {
		return flow.Fail(reasonWriting, fmt.Errorf("clear requests of KubeVirt machine %s: %w", s.engine.Name, err))
	}
	return flow.Done()
}

// delay is how long an instance that ended soon after its start rests.
func (e *engineer) delay(s *scope) time.Duration {
	if s.instance == nil || !s.state().Finished() {
		return 0
	}
	return power.Delay(s.instance.CreationTimestamp.Time, endOf(s.instance), s.now)
}

func endOf(instance *kubevirtv1.VirtualMachineInstance) time.Time {
	for _, t := range instance.Status.PhaseTransitionTimestamps {
		if t.Phase == instance.Status.Phase {
			return t.PhaseTransitionTimestamp.Time
		}
	}
	return time.Time{}
}

package operation

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	reasonWriting = "WriteFailed"
	requested     = "true"
)

// signal makes the request, once. Making it twice, after a run that ended
// before its status was written, does no harm.
func (o operator) signal(ctx context.Context, s *scope) flow.Outcome {
	if meta.IsStatusConditionTrue(s.op.Status.Conditions, vmopcondition.SignalSentType) {
		s.signaled = true
		return flow.Done()
	}
	if s.engine == nil {
		return fail(ctx, vmopcondition.OperationFailed, "the KubeVirt machine is gone")
	}
	var err error
	switch s.op.Spec.Type {
	case v1alpha2.OperationStart:
		err = o.annotate(ctx, s.engine, map[string]string{annotations.StartRequested: requested})
	case v1alpha2.OperationRestart:
		err = o.restart(ctx, s)
	case v1alpha2.OperationMigrate, v1alpha2.OperationEvict:
		err = o.move(ctx, s)
	default:
		err = o.stop(ctx, s)
	}
	if apierrors.IsConflict(err) {
		return flow.Wait(reasonWriting, again, "the KubeVirt machine was changed meanwhile")
	}
	if err != nil {
		return flow.Fail(vmopcondition.SignalSentError, err)
	}
	s.signaled = true
	flow.Emit(ctx, eventStarted, "%s of machine %s was requested", s.op.Spec.Type, s.machine.Name)
	return flow.Done()
}

// restart asks for it in the name of the instance, so that the one after it is
// left alone.
func (o operator) restart(ctx context.Context, s *scope) error {
	uid, _ := s.before()
	if s.instance == nil || s.another() != nil {
		return nil
	}
	if ptr.Deref(s.op.Spec.Force, false) {
		if err := o.hurry(ctx, s.instance); err != nil {
			return err
		}
	}
	return o.annotate(ctx, s.engine, map[string]string{annotations.RestartRequested: string(uid)})
}

// stop takes back what was asked before and asks KubeVirt to stop the instance.
func (o operator) stop(ctx context.Context, s *scope) error {
	err := o.annotate(ctx, s.engine, map[string]string{annotations.StartRequested: "", annotations.RestartRequested: ""})
	if err != nil {
		return err
	}
	running := s.mine() && s.instance.DeletionTimestamp.IsZero()
	before := s.engine.DeepCopy()
	s.engine.Status.StateChangeRequests = nil
	if running {
		s.engine.Status.StateChangeRequests = []kubevirtv1.VirtualMachineStateChangeRequest{{Action: kubevirtv1.StopRequest, UID: &s.instance.UID}}
	}
	if running && ptr.Deref(s.op.Spec.Force, false) {
		if err := o.hurry(ctx, s.instance); err != nil {
			return err
		}
	}
	if len(before.Status.StateChangeRequests) == 0 && !running {
		return nil
	}
	if err := o.client.Status().Patch(ctx, s.engine, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), fieldManager); err != nil {
		return fmt.Errorf("request to stop KubeVirt machine %s: %w", s.engine.Name, err)
	}
	return nil
}

// annotate sets annotations on the KubeVirt machine; an empty value takes one
// away.
func (o operator) annotate(ctx context.Context, engine *kubevirtv1.VirtualMachine, values map[string]string) error {
	before := engine.DeepCopy()
	if engine.Annotations == nil {
		engine.Annotations = map[string]string{}
	}
	for key, value := range values {
		engine.Annotations[key] = value
		if value == "" {
			delete(engine.Annotations, key)
		}
	}
	if err := o.client.Patch(ctx, engine, client.MergeFrom(before), fieldManager); err != nil {
		return fmt.Errorf("annotate KubeVirt machine %s: %w", engine.Name, err)
	}
	return nil
}

// hurry lets the guest no time to shut down. Where the instance is held by pods
// those are killed; KubeVirt lets nobody change an instance there.
func (o operator) hurry(ctx context.Context, instance *kubevirtv1.VirtualMachineInstance) error {
	if len(instance.Status.ActivePods) > 0 {
		return o.killPods(ctx, instance)
	}
	before := instance.DeepCopy()
	instance.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
	if err := o.client.Patch(ctx, instance, client.MergeFrom(before), fieldManager); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("cut the grace period of instance %s: %w", instance.Name, err)
	}
	return nil
}

func (o operator) killPods(ctx context.Context, instance *kubevirtv1.VirtualMachineInstance) error {
	var pods corev1.PodList
	err := o.client.List(ctx, &pods, client.InNamespace(instance.Namespace), client.MatchingLabels{kubevirtv1.CreatedByLabel: string(instance.UID)})
	if err != nil {
		return fmt.Errorf("list pods of instance %s: %w", instance.Name, err)
	}
	for pod := range slices.Values(pods.Items) {
		if err := o.client.Delete(ctx, &pod, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete pod %s: %w", pod.Name, err)
		}
	}
	return nil
}

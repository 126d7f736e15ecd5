package operation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	reasonReading  = "ReadFailed"
	reasonFinished = "Finished"
	reasonAccepted = "Accepted"
)

// instanceAnnotation says that the operation was accepted, and which instance
// the machine had then.
const instanceAnnotation = "slipway.dev/instance-before"

// again is how soon a run is repeated whose object is outdated.
const again = time.Millisecond

// operator carries operations out.
type operator struct {
	client client.Client
	clock  clock.PassiveClock
}

func skipFinished(_ context.Context, s *scope) flow.Outcome {
	if s.finished = finished(s.op); s.finished {
		return flow.Stall(reasonFinished, "the operation has ended")
	}
	return flow.Done()
}

func (o operator) findMachine(ctx context.Context, s *scope) flow.Outcome {
	key := client.ObjectKey{Namespace: s.op.Namespace, Name: s.op.Spec.VirtualMachineName}
	machine, err := find(ctx, o.client, key, &v1alpha2.VirtualMachine{})
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	if machine == nil || !machine.DeletionTimestamp.IsZero() {
		return fail(ctx, vmopcondition.VirtualMachineNotFound, "virtual machine %q does not exist in namespace %s", key.Name, key.Namespace)
	}
	s.machine = machine
	if s.engine, err = find(ctx, o.client, key, &kubevirtv1.VirtualMachine{}); err != nil {
		return flow.Fail(reasonReading, err)
	}
	if s.instance, err = find(ctx, o.client, key, &kubevirtv1.VirtualMachineInstance{}); err != nil {
		return flow.Fail(reasonReading, err)
	}
	return flow.Done()
}

// takeTurn refuses an operation while an older one on the same machine goes on.
func (o operator) takeTurn(ctx context.Context, s *scope) flow.Outcome {
	var all v1alpha2.VirtualMachineOperationList
	err := o.client.List(ctx, &all, client.InNamespace(s.op.Namespace), client.MatchingFields{machineIndex: machineOf(s.op)[0]})
	if err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("list operations of machine %s: %w", s.machine.Name, err))
	}
	older := slices.IndexFunc(all.Items, func(other v1alpha2.VirtualMachineOperation) bool {
		return !finished(&other) && other.UID != s.op.UID && compareAge(&other, s.op) < 0
	})
	if older >= 0 {
		return fail(ctx, vmopcondition.NotReadyToBeExecuted, "operation %q on the machine goes on: make a new one when it has ended", all.Items[older].Name)
	}
	return flow.Done()
}

func compareAge(a, b *v1alpha2.VirtualMachineOperation) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// accept checks whether the operation applies to the machine as it is, and
// writes down that it does. An accepted operation is not checked again, because
// it is itself what changes the machine.
func (o operator) accept(ctx context.Context, s *scope) flow.Outcome {
	if _, accepted := s.before(); accepted {
		return flow.Done()
	}
	if reason, message := refuse(&s.op.Spec, s.machine, s.engine != nil); reason != "" {
		return fail(ctx, reason, "%s", message)
	}
	uid := ""
	if s.instance != nil {
		uid = string(s.instance.UID)
	}
	changed := s.op.DeepCopy()
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[instanceAnnotation] = uid
	err := o.client.Patch(ctx, changed, client.MergeFromWithOptions(s.op.DeepCopy(), client.MergeFromWithOptimisticLock{}), fieldManager)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return flow.Fail(reasonWriting, fmt.Errorf("accept operation %s: %w", s.op.Name, err))
	}
	return flow.Wait(reasonAccepted, again, "the operation is accepted")
}

// find reads an object, and gives nil when there is none.
func find[O client.Object](ctx context.Context, c client.Reader, key client.ObjectKey, into O) (O, error) {
	var none O
	err := c.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("get %T %s: %w", into, key, err)
	}
	return into, nil
}

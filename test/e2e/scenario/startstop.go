package scenario

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/compare"
)

// Operate asks for an operation on machine web.
func (d *Demo) Operate(t *testing.T, what v1alpha2.OperationType) *v1alpha2.VirtualMachineOperation {
	t.Helper()
	operation := &v1alpha2.VirtualMachineOperation{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, GenerateName: "web-"},
		Spec:       v1alpha2.VirtualMachineOperationSpec{Type: what, VirtualMachineName: "web"},
	}
	Must(t, d.Client.Create(t.Context(), operation))
	return operation
}

// Completed waits until an operation is.
func (d *Demo) Completed(t *testing.T, operation *v1alpha2.VirtualMachineOperation) {
	t.Helper()
	Eventually(t, BootTime, fmt.Sprintf("operation %s is completed", operation.Spec.Type), func(ctx context.Context) error {
		err := d.Client.Get(ctx, client.ObjectKeyFromObject(operation), operation)
		if err == nil && operation.Status.Phase != v1alpha2.OperationCompleted {
			err = fmt.Errorf("phase %s: %+v", operation.Status.Phase, operation.Status.Conditions)
		}
		return err
	})
}

// KilledDuringStart stops the machine, starts it again, and kills the controllers in the middle of that: the guest boots once,
// with its data. Whether the blow falls in the middle is chance: it is dealt until it does.
func (d *Demo) KilledDuringStart(t *testing.T) {
	const blows = 5
	for range blows {
		boots, err := strconv.Atoi(d.Boots(t))
		Must(t, err)
		seen := d.killAtStart(t)
		d.HealthyAt(t, "")
		if got, want := d.Boots(t), strconv.Itoa(boots+1); got != want {
			t.Errorf("boot counter %s, want %s: the guest is to boot once", got, want)
		}
		d.DataIsThere(t)
		t.Logf("killed when the machine was %s", seen)
		if seen != v1alpha2.MachineRunning {
			return
		}
	}
	t.Fatalf("the machine ran each time before the controllers could be killed: this shows nothing")
}

// killAtStart returns what phase the machine was in when the controllers were killed, once it runs.
func (d *Demo) killAtStart(t *testing.T) v1alpha2.MachinePhase {
	t.Helper()
	d.Completed(t, d.Operate(t, v1alpha2.OperationStop))
	d.untilPhase(t, "stopped", stopped)
	d.Recorded(t, compare.Stopped, "web")
	start := d.Operate(t, v1alpha2.OperationStart)
	seen := d.untilPhase(t, "stopped no more", func(p v1alpha2.MachinePhase) bool { return !stopped(p) })
	d.KillControllers(t)
	d.Recover(t)
	d.Completed(t, start)
	return seen
}

func stopped(phase v1alpha2.MachinePhase) bool { return phase == v1alpha2.MachineStopped }

func (d *Demo) untilPhase(t *testing.T, what string, is func(v1alpha2.MachinePhase) bool) (phase v1alpha2.MachinePhase) {
	t.Helper()
	Eventually(t, BootTime, "the machine is "+what, func(ctx context.Context) error {
		machine, err := d.Machine(ctx)
		if phase = machine.Status.Phase; err == nil && !is(phase) {
			err = fmt.Errorf("phase %s: %+v", phase, machine.Status.Conditions)
		}
		return err
	})
	return phase
}

//go:build e2e

package scenario

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/scenario"
)

// bootID reads what a kernel holds in memory from its start to its end.
const bootID = "cat /proc/sys/kernel/random/boot_id"

// onTwoNodes is what can only be run when there is another node to go to.
func (p *platform) onTwoNodes(run func(t *testing.T)) func(t *testing.T) {
	if len(p.nodes) < 2 {
		return nil
	}
	return run
}

// moves looks whether the guest goes on at another node after something was asked, and whether Slipway knows where.
func (p *platform) moves(t *testing.T, d *scenario.Demo, ask func(t *testing.T, from string)) {
	t.Helper()
	boots, from := d.Boots(t), p.nodeOf(t, d)
	boot := d.Guest(t, bootID)
	ask(t, from)
	scenario.Eventually(t, scenario.BootTime, "the machine leaves "+from, func(ctx context.Context) error {
		machine, err := d.Machine(ctx)
		if err == nil && (machine.Status.NodeName == from || machine.Status.Phase != v1alpha2.MachineRunning) {
			err = fmt.Errorf("it is %s at %q", machine.Status.Phase, machine.Status.NodeName)
		}
		return errors.Join(err, p.migrationFailed(ctx))
	})
	d.StillRuns(t, boots)
	if got := d.Guest(t, bootID); got != boot {
		t.Errorf("the kernel's boot is %s, was %s", got, boot)
	}
	d.DataIsThere(t)
	p.isWhereItSays(t, d)
	machine, err := d.Machine(t.Context())
	scenario.Must(t, err)
	if last := machine.Status.MigrationState; last == nil || last.Result != v1alpha2.MigrationSucceeded || last.Source.Node != from {
		t.Errorf("the last move is %+v, want one from %s that succeeded", last, from)
	}
}

func (p *platform) nodeOf(t *testing.T, d *scenario.Demo) string {
	t.Helper()
	machine, err := d.Machine(t.Context())
	scenario.Must(t, err)
	return machine.Status.NodeName
}

// migrationFailed says in KubeVirt's words why the last migration did.
func (p *platform) migrationFailed(ctx context.Context) error {
	instance := &virtv1.VirtualMachineInstance{}
	if err := p.client.Get(ctx, scenario.Key("web"), instance); err != nil {
		return err
	}
	if state := instance.Status.MigrationState; state != nil && state.Failed {
		return fmt.Errorf("migration from %s to %s: %s", state.SourceNode, state.TargetNode, state.FailureReason)
	}
	return nil
}

// isWhereItSays compares Slipway's word with the pod that has the guest.
func (p *platform) isWhereItSays(t *testing.T, d *scenario.Demo) {
	t.Helper()
	scenario.Eventually(t, scenario.Patience, "one pod has the guest, where the machine says that it runs", func(ctx context.Context) error {
		machine, err := d.Machine(ctx)
		if err != nil {
			return err
		}
		var pods corev1.PodList
		if err := p.client.List(ctx, &pods, client.InNamespace(scenario.Namespace), client.MatchingLabels{virtv1.AppLabel: "virt-launcher"}); err != nil {
			return err
		}
		var at []string
		for _, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodRunning {
				at = append(at, pod.Spec.NodeName)
			}
		}
		if len(at) != 1 || at[0] != machine.Status.NodeName {
			return fmt.Errorf("pods run at %v, the machine says %s", at, machine.Status.NodeName)
		}
		return nil
	})
}

// evicted asks Slipway by an operation.
func (p *platform) evicted(t *testing.T, d *scenario.Demo) {
	var operation *v1alpha2.VirtualMachineOperation
	p.moves(t, d, func(t *testing.T, _ string) { operation = d.Operate(t, v1alpha2.OperationEvict) })
	d.Completed(t, operation)
}

// migrated asks KubeVirt itself.
func (p *platform) migrated(t *testing.T, d *scenario.Demo) {
	p.moves(t, d, func(t *testing.T, _ string) {
		scenario.Must(t, p.client.Create(t.Context(), &virtv1.VirtualMachineInstanceMigration{
			ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Namespace, GenerateName: "web-"},
			Spec:       virtv1.VirtualMachineInstanceMigrationSpec{VMIName: "web"},
		}))
	})
}

// drained takes the node of the guest out of service, as before maintenance, and back in.
func (p *platform) drained(t *testing.T, d *scenario.Demo) {
	p.moves(t, d, func(t *testing.T, from string) {
		p.kubectl(t, "cordon", from)
		t.Cleanup(func() { p.kubectl(t, "uncordon", from) })
		p.kubectl(t, "drain", from, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout="+scenario.BootTime.String())
	})
}

// kubectl runs the stock program in the first node.
func (p *platform) kubectl(t *testing.T, args ...string) {
	t.Helper()
	cmd, err := p.layout.Enter(p.nodes[0], append([]string{"kubectl"}, args...)...)
	scenario.Must(t, err)
	out, err := cmd.CombinedOutput()
	t.Logf("kubectl %v: %s", args, out)
	scenario.Must(t, err)
}

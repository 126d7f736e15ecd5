package operation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
)

func migratable(phase v1alpha2.MachinePhase, status metav1.ConditionStatus) *v1alpha2.VirtualMachine {
	m := machine(v1alpha2.ManualPolicy, phase)
	m.Status.Conditions = []metav1.Condition{{Type: vmcondition.MigratableType, Status: status, Message: "PVC web-root is not shared"}}
	return m
}

func (w *world) migration(op *v1alpha2.VirtualMachineOperation) *kubevirtv1.VirtualMachineInstanceMigration {
	w.t.Helper()
	found, err := find(w.t.Context(), w.client, client.ObjectKey{Namespace: "shop", Name: migrationName(op)}, &kubevirtv1.VirtualMachineInstanceMigration{})
	if err != nil || found == nil {
		w.t.Fatalf("migration %v: %v", found, err)
	}
	return found
}

func TestMove(t *testing.T) {
	state := &kubevirtv1.VirtualMachineInstanceMigrationState{FailureReason: "the target is full"}
	cases := map[string]struct {
		kind   v1alpha2.OperationType
		target *v1alpha2.MigrateTarget
		status kubevirtv1.VirtualMachineInstanceMigrationStatus
		phase  v1alpha2.OperationPhase
		want   string
		says   string
	}{
		"just asked for": {
			kind: v1alpha2.OperationEvict, phase: v1alpha2.OperationInProgress, want: "False/MigrationPending",
		},
		"the target starts": {
			kind: v1alpha2.OperationEvict, status: kubevirtv1.VirtualMachineInstanceMigrationStatus{Phase: kubevirtv1.MigrationScheduling},
			phase: v1alpha2.OperationInProgress, want: "False/MigrationPrepareTarget", says: "Scheduling",
		},
		"memory is copied": {
			kind: v1alpha2.OperationEvict, status: kubevirtv1.VirtualMachineInstanceMigrationStatus{Phase: kubevirtv1.MigrationRunning},
			phase: v1alpha2.OperationInProgress, want: "False/MigrationRunning",
		},
		"done": {
			kind: v1alpha2.OperationEvict, status: kubevirtv1.VirtualMachineInstanceMigrationStatus{Phase: kubevirtv1.MigrationSucceeded},
			phase: v1alpha2.OperationCompleted, want: "True/OperationCompleted",
		},
		"done, to a node of choice": {
			kind: v1alpha2.OperationMigrate, target: &v1alpha2.MigrateTarget{NodeSelector: map[string]string{"rack": "b"}},
			status: kubevirtv1.VirtualMachineInstanceMigrationStatus{Phase: kubevirtv1.MigrationSucceeded},
			phase:  v1alpha2.OperationCompleted, want: "True/OperationCompleted",
		},
		"failed": {
			kind: v1alpha2.OperationEvict, status: kubevirtv1.VirtualMachineInstanceMigrationStatus{Phase: kubevirtv1.MigrationFailed, MigrationState: state},
			phase: v1alpha2.OperationFailed, want: "False/Failed", says: "the target is full",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			op := operation(tc.kind, "op", 0)
			op.Spec.Migrate = tc.target
			w := newWorld(t, op, migratable(v1alpha2.MachineRunning, metav1.ConditionTrue), engine(nil), instance("one", kubevirtv1.Running))
			w.settle(op)
			made := w.migration(op)
			wanted := kubevirtv1.VirtualMachineInstanceMigrationSpec{VMIName: "web"}
			if tc.target != nil {
				wanted.AddedNodeSelector = tc.target.NodeSelector
			}
			if diff := cmp.Diff(wanted, made.Spec); diff != "" || !metav1.IsControlledBy(made, op) {
				t.Errorf("migration of %v (-want +got):\n%s", made.OwnerReferences, diff)
			}
			made.Status = tc.status
			if err := w.client.Update(t.Context(), made); err != nil {
				t.Fatal(err)
			}
			w.settle(op)
			expect(t, op, tc.phase, tc.want)
			if c := meta.FindStatusCondition(op.Status.Conditions, vmopcondition.CompletedType); !strings.Contains(c.Message, tc.says) {
				t.Errorf("the user is told %q, want %q in it", c.Message, tc.says)
			}
		})
	}
}

func TestMoveCalledOff(t *testing.T) {
	cases := map[string]struct {
		asked time.Duration
		phase v1alpha2.OperationPhase
		want  string
	}{
		"not seen yet": {0, v1alpha2.OperationInProgress, "False/MigrationPending"},
		"deleted":      {time.Minute, v1alpha2.OperationFailed, "False/Aborted"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			op := operation(v1alpha2.OperationEvict, "op", 0)
			op.Annotations = map[string]string{instanceAnnotation: "one"}
			op.Status.Conditions = []metav1.Condition{{
				Type: vmopcondition.SignalSentType, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(epoch.Add(-tc.asked)),
			}}
			w := newWorld(t, op, migratable(v1alpha2.MachineMigrating, metav1.ConditionTrue), engine(nil), instance("one", kubevirtv1.Running))
			w.settle(op)
			expect(t, op, tc.phase, tc.want)
		})
	}
}

func TestMoveTakesNoForce(t *testing.T) {
	op := operation(v1alpha2.OperationEvict, "op", 0)
	op.Spec.Force = ptr.To(true)
	w := newWorld(t, op, migratable(v1alpha2.MachineRunning, metav1.ConditionTrue), engine(nil))
	w.settle(op)
	expect(t, op, v1alpha2.OperationFailed, "False/OperationFailed")
}

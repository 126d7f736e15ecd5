package operation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// settled is how long after it was made a migration may be missing from what was read.
const settled = 10 * time.Second

// moves tells whether an operation takes a machine to another node.
func moves(operation v1alpha2.OperationType) bool {
	return operation == v1alpha2.OperationMigrate || operation == v1alpha2.OperationEvict
}

// refuseMove says why a machine cannot be moved as asked, with an empty reason when it can.
func refuseMove(spec *v1alpha2.VirtualMachineOperationSpec, machine *v1alpha2.VirtualMachine) (reason, message string) {
	migratable := meta.FindStatusCondition(machine.Status.Conditions, vmcondition.MigratableType)
	switch {
	case !moves(spec.Type):
		return "", ""
	case ptr.Deref(spec.Force, false):
		return vmopcondition.OperationFailed, fmt.Sprintf("%s takes no force in this version: whether guests are slowed down is configured in KubeVirt", spec.Type)
	case migratable == nil:
		return vmopcondition.OperationFailed, "it is not known whether the machine can be moved: see its condition Migratable"
	case migratable.Status != metav1.ConditionTrue:
		return vmopcondition.OperationFailed, "the machine cannot be moved: " + migratable.Message
	default:
		return "", ""
	}
}

// move asks KubeVirt for a migration. Its name is the operation's, so that asking twice makes one.
func (o operator) move(ctx context.Context, s *scope) error {
	migration := &kubevirtv1.VirtualMachineInstanceMigration{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.op.Namespace, Name: migrationName(s.op)},
		Spec:       kubevirtv1.VirtualMachineInstanceMigrationSpec{VMIName: s.machine.Name},
	}
	if s.op.Spec.Migrate != nil {
		migration.Spec.AddedNodeSelector = s.op.Spec.Migrate.NodeSelector
	}
	if err := controllerutil.SetControllerReference(s.op, migration, o.client.Scheme(), controllerutil.WithBlockOwnerDeletion(false)); err != nil {
		return fmt.Errorf("own the migration of machine %s: %w", s.machine.Name, err)
	}
	if err := o.client.Create(ctx, migration, fieldManager); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("request a migration of machine %s: %w", s.machine.Name, err)
	}
	return nil
}

func migrationName(op *v1alpha2.VirtualMachineOperation) string { return "operation-" + string(op.UID) }

// underway are the reasons while KubeVirt's migration is in a phase.
var underway = map[kubevirtv1.VirtualMachineInstanceMigrationPhase]vmopcondition.Reason{
	kubevirtv1.MigrationPhaseUnset:      vmopcondition.MigrationPending,
	kubevirtv1.MigrationPending:         vmopcondition.MigrationPending,
	kubevirtv1.MigrationScheduling:      vmopcondition.MigrationPrepareTarget,
	kubevirtv1.MigrationScheduled:       vmopcondition.MigrationPrepareTarget,
	kubevirtv1.MigrationPreparingTarget: vmopcondition.MigrationPrepareTarget,
	kubevirtv1.MigrationTargetReady:     vmopcondition.MigrationTargetReady,
	kubevirtv1.MigrationRunning:         vmopcondition.MigrationRunning,
}

// followMove tells how far the migration is.
func (o operator) followMove(ctx context.Context, s *scope) flow.Outcome {
	key := client.ObjectKey{Namespace: s.op.Namespace, Name: migrationName(s.op)}
	migration, err := find(ctx, o.client, key, &kubevirtv1.VirtualMachineInstanceMigration{})
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	if migration == nil {
		return s.awaitMigration(ctx, key.Name)
	}
	s.stage = underway[migration.Status.Phase]
	switch migration.Status.Phase {
	case kubevirtv1.MigrationSucceeded:
		return succeed(ctx, s)
	case kubevirtv1.MigrationFailed:
		return fail(ctx, vmopcondition.Failed, "KubeVirt's migration %s failed, the machine stays where it was: %s", key.Name, failure(migration, s.instance))
	default:
		return flow.Wait(string(s.stage), 0, "waiting for KubeVirt's migration %s, which is %s", key.Name, migration.Status.Phase)
	}
}

// awaitMigration tells one that was just made from one that somebody deleted.
func (s *scope) awaitMigration(ctx context.Context, name string) flow.Outcome {
	s.stage = vmopcondition.MigrationPending
	sent := meta.FindStatusCondition(s.op.Status.Conditions, vmopcondition.SignalSentType)
	if sent == nil || s.now.Sub(sent.LastTransitionTime.Time) < settled {
		return flow.Wait(vmopcondition.MigrationPending, settled, "waiting for KubeVirt's migration %s", name)
	}
	return fail(ctx, vmopcondition.Aborted, "KubeVirt's migration %s was deleted", name)
}

// failure is KubeVirt's word on why a migration failed; the instance has it last.
func failure(migration *kubevirtv1.VirtualMachineInstanceMigration, instance *kubevirtv1.VirtualMachineInstance) string {
	state := migration.Status.MigrationState
	if state == nil && instance != nil && instance.Status.MigrationState != nil && instance.Status.MigrationState.MigrationUID == migration.UID {
		state = instance.Status.MigrationState
	}
	switch {
	case state != nil && state.FailureReason != "":
		return state.FailureReason
	default:
		return "KubeVirt says no more; see the events of the machine's instance"
	}
}

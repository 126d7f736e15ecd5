package operation

import (
	"cmp"
	"fmt"
	"slices"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
)

// applicability says when an operation makes sense.
type applicability struct {
	phases   []v1alpha2.MachinePhase
	policies []v1alpha2.RunPolicy
}

// applicable has a row for each operation that this version can do.
var applicable = map[v1alpha2.OperationType]applicability{
	v1alpha2.OperationStart: {
		phases:   []v1alpha2.MachinePhase{v1alpha2.MachineStopped, v1alpha2.MachineStopping},
		policies: []v1alpha2.RunPolicy{v1alpha2.ManualPolicy, v1alpha2.AlwaysOnUnlessStoppedManually},
	},
	v1alpha2.OperationStop: {
		phases: []v1alpha2.MachinePhase{
			v1alpha2.MachineRunning, v1alpha2.MachineDegraded, v1alpha2.MachineStarting, v1alpha2.MachinePause, v1alpha2.MachinePending,
		},
		policies: []v1alpha2.RunPolicy{v1alpha2.ManualPolicy, v1alpha2.AlwaysOnUnlessStoppedManually},
	},
	v1alpha2.OperationRestart: {
		phases: []v1alpha2.MachinePhase{
			v1alpha2.MachineRunning, v1alpha2.MachineDegraded, v1alpha2.MachineStarting, v1alpha2.MachinePause,
		},
		policies: running,
	},
	v1alpha2.OperationMigrate: {phases: []v1alpha2.MachinePhase{v1alpha2.MachineRunning, v1alpha2.MachineDegraded}, policies: running},
	v1alpha2.OperationEvict:   {phases: []v1alpha2.MachinePhase{v1alpha2.MachineRunning, v1alpha2.MachineDegraded}, policies: running},
}

// running are the policies under which a machine that runs goes on.
var running = []v1alpha2.RunPolicy{v1alpha2.ManualPolicy, v1alpha2.AlwaysOnUnlessStoppedManually, v1alpha2.AlwaysOnPolicy}

// refuse says why an operation does not apply, with an empty reason when it
// does. A machine that was never made in KubeVirt cannot take any.
func refuse(spec *v1alpha2.VirtualMachineOperationSpec, machine *v1alpha2.VirtualMachine, made bool) (reason, message string) {
	operation := spec.Type
	row, ok := applicable[operation]
	policy := cmp.Or(machine.Spec.RunPolicy, v1alpha2.AlwaysOnUnlessStoppedManually)
	phase := machine.Status.Phase
	switch {
	case !ok:
		return vmopcondition.OperationFailed, fmt.Sprintf("%s is not supported by this version: it knows Start, Stop, Restart, Migrate and Evict", operation)
	case !slices.Contains(row.policies, policy):
		return vmopcondition.NotApplicableForVirtualMachineRunPolicy,
			fmt.Sprintf("%s does not apply to a machine with run policy %s: change spec.runPolicy", operation, policy)
	case !slices.Contains(row.phases, phase):
		return vmopcondition.NotApplicableForVirtualMachinePhase, fmt.Sprintf("%s does not apply to a machine that is %s", operation, cmp.Or(phase, "new"))
	case !made:
		return vmopcondition.NotApplicableForVirtualMachinePhase,
			fmt.Sprintf("%s does not apply to a machine that still waits for what it depends on: see its conditions", operation)
	default:
		return refuseMove(spec, machine)
	}
}

package machine

import (
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// migrationOf is an instance's last move to another node; nil when there was none.
func migrationOf(state *kubevirtv1.VirtualMachineInstanceMigrationState) *v1alpha2.VirtualMachineMigrationState {
	if state == nil {
		return nil
	}
	return &v1alpha2.VirtualMachineMigrationState{
		StartTimestamp: state.StartTimestamp,
		EndTimestamp:   state.EndTimestamp,
		Source:         v1alpha2.VirtualMachineLocation{Node: state.SourceNode, Pod: state.SourcePod},
		Target:         v1alpha2.VirtualMachineLocation{Node: state.TargetNode, Pod: state.TargetPod},
		Result:         resultOf(state),
	}
}

// resultOf: KubeVirt completes a move that failed, too.
func resultOf(state *kubevirtv1.VirtualMachineInstanceMigrationState) v1alpha2.MigrationResult {
	switch {
	case state.Failed:
		return v1alpha2.MigrationFailed
	case state.Completed:
		return v1alpha2.MigrationSucceeded
	}
	return ""
}

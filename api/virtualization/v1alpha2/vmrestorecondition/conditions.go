package vmrestorecondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineRestore.
const (
	// VirtualMachineSnapshotReadyToUseType tells whether the snapshot can be used.
	VirtualMachineSnapshotReadyToUseType Type = "VirtualMachineSnapshotReadyToUse"
	// VirtualMachineRestoreReadyType tells whether the restore is done.
	VirtualMachineRestoreReadyType Type = "VirtualMachineRestoreReady"
)

// Reasons of VirtualMachineSnapshotReadyToUse.
const (
	// VirtualMachineSnapshotReadyToUse: the snapshot can be used.
	VirtualMachineSnapshotReadyToUse Reason = "VirtualMachineSnapshotReadyToUse"
	// VirtualMachineSnapshotNotFound: the snapshot is missing.
	VirtualMachineSnapshotNotFound Reason = "VirtualMachineSnapshotNotFound"
	// VirtualMachineSnapshotNotReady: the snapshot is not ready.
	VirtualMachineSnapshotNotReady Reason = "VirtualMachineSnapshotNotReady"
)

// Reasons of VirtualMachineRestoreReady.
const (
	// VirtualMachineRestoreReady: the restore is done.
	VirtualMachineRestoreReady Reason = "VirtualMachineRestoreReady"
	// VirtualMachineResourcesAreNotReady: restored objects are not ready.
	VirtualMachineResourcesAreNotReady Reason = "VirtualMachineResourcesAreNotReady"
	// VirtualMachineIsNotStopped: the machine must be stopped first.
	VirtualMachineIsNotStopped Reason = "VirtualMachineIsNotStopped"
	// VirtualMachineSnapshotNotReadyToUse: the snapshot cannot be used.
	VirtualMachineSnapshotNotReadyToUse Reason = "VirtualMachineSnapshotNotReadyToUse"
	// VirtualMachineRestoreConflict: objects of the same names exist.
	VirtualMachineRestoreConflict Reason = "VirtualMachineRestoreConflict"
	// VirtualMachineRestoreFailed: the restore has failed; the message says why.
	VirtualMachineRestoreFailed Reason = "VirtualMachineRestoreFailed"
)

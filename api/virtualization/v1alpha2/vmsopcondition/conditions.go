package vmsopcondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineSnapshotOperation.
const (
	// CompletedType tells whether the operation has succeeded.
	CompletedType Type = "Completed"
)

// Reasons of Completed.
const (
	// VirtualMachineSnapshotNotFound: the snapshot is missing.
	VirtualMachineSnapshotNotFound Reason = "VirtualMachineSnapshotNotFound"
	// NotApplicableForVirtualMachinePhase: the machine's phase does not allow the operation.
	NotApplicableForVirtualMachinePhase Reason = "NotApplicableForVirtualMachinePhase"
	// NotReadyToBeExecuted: the operation waits for its turn.
	NotReadyToBeExecuted Reason = "NotReadyToBeExecuted"
	// CreateVirtualMachineInProgress: the new machine is being made.
	CreateVirtualMachineInProgress Reason = "CreateVirtualMachineInProgress"
	// OperationFailed: the operation has failed; the message says why.
	OperationFailed Reason = "OperationFailed"
	// OperationCompleted: the operation is done.
	OperationCompleted Reason = "OperationCompleted"
)

package vmopcondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineOperation.
const (
	// CompletedType tells whether the operation has succeeded.
	CompletedType Type = "Completed"
	// SignalSentType tells whether the engine was asked to act.
	SignalSentType Type = "SignalSent"
	// MaintenanceModeType is present while the machine is kept off for a restore.
	MaintenanceModeType Type = "MaintenanceMode"
	// SnapshotReadyType tells how far the snapshot for a copy is.
	SnapshotReadyType Type = "SnapshotReady"
)

// Reasons of Completed.
const (
	// VirtualMachineNotFound: the machine is missing.
	VirtualMachineNotFound Reason = "VirtualMachineNotFound"
	// NotApplicableForVirtualMachineRunPolicy: the machine's run policy does not allow the operation.
	NotApplicableForVirtualMachineRunPolicy Reason = "NotApplicableForVirtualMachineRunPolicy"
	// NotApplicableForVirtualMachinePhase: the machine's phase does not allow the operation.
	NotApplicableForVirtualMachinePhase Reason = "NotApplicableForVirtualMachinePhase"
	// NotApplicableForLiveMigrationPolicy: the machine's live migration policy does not allow the operation.
	NotApplicableForLiveMigrationPolicy Reason = "NotApplicableForLiveMigrationPolicy"
	// NotReadyToBeExecuted: the operation waits for its turn.
	NotReadyToBeExecuted Reason = "NotReadyToBeExecuted"
	// RestartInProgress: the machine is being restarted.
	RestartInProgress Reason = "RestartInProgress"
	// StartInProgress: the machine is being started.
	StartInProgress Reason = "StartInProgress"
	// StopInProgress: the machine is being stopped.
	StopInProgress Reason = "StopInProgress"
	// RestoreInProgress: the machine is being put back to a snapshot.
	RestoreInProgress Reason = "RestoreInProgress"
	// CloneInProgress: the machine is being copied.
	CloneInProgress Reason = "CloneInProgress"
	// MigrationPending: the move has not begun.
	MigrationPending Reason = "MigrationPending"
	// MigrationPrepareTarget: the target of the move is being prepared.
	MigrationPrepareTarget Reason = "MigrationPrepareTarget"
	// MigrationTargetReady: the target of the move is ready.
	MigrationTargetReady Reason = "MigrationTargetReady"
	// MigrationRunning: the move goes on.
	MigrationRunning Reason = "MigrationRunning"
	// DisksPreparing: the target's disks are being prepared.
	DisksPreparing Reason = "DisksPreparing"
	// TargetScheduling: a node for the target is being chosen.
	TargetScheduling Reason = "TargetScheduling"
	// TargetUnschedulable: no node fits the target.
	TargetUnschedulable Reason = "TargetUnschedulable"
	// TargetDiskError: a disk of the target cannot be used.
	TargetDiskError Reason = "TargetDiskError"
	// TargetPreparing: the target is being started.
	TargetPreparing Reason = "TargetPreparing"
	// Syncing: memory and disks are being copied.
	Syncing Reason = "Syncing"
	// NotConverging: the guest changes its memory faster than it can be copied.
	NotConverging Reason = "NotConverging"
	// SourceSuspended: the guest is halted for the switch.
	SourceSuspended Reason = "SourceSuspended"
	// TargetResumed: the guest goes on at the target.
	TargetResumed Reason = "TargetResumed"
	// Aborted: the move was called off.
	Aborted Reason = "Aborted"
	// OtherMigrationInProgress: another move of the machine goes on.
	OtherMigrationInProgress Reason = "OtherMigrationInProgress"
	// HotplugDisksNotShared: a hotplugged disk can be reached from one node only.
	HotplugDisksNotShared Reason = "HotplugDisksNotShared"
	// QuotaExceeded: a quota of the namespace leaves no room.
	QuotaExceeded Reason = "QuotaExceeded"
	// WaitingForVirtualMachineToBeReadyToMigrate: the machine cannot move yet.
	WaitingForVirtualMachineToBeReadyToMigrate Reason = "WaitingForVirtualMachineToBeReadyToMigrate"
	// Completed: the move is done.
	Completed Reason = "Completed"
	// Failed: the move has failed.
	Failed Reason = "Failed"
	// OperationFailed: the operation has failed; the message says why.
	OperationFailed Reason = "OperationFailed"
	// OperationCompleted: the operation is done.
	OperationCompleted Reason = "OperationCompleted"
)

// Reasons of SignalSent.
const (
	// SignalSentError: the engine could not be asked; the message says why.
	SignalSentError Reason = "SignalSentError"
	// SignalSentSuccess: the engine was asked.
	SignalSentSuccess Reason = "SignalSentSuccess"
)

// Reasons of MaintenanceMode.
const (
	// MaintenanceModeEnabled: the machine is kept off.
	MaintenanceModeEnabled Reason = "MaintenanceModeEnabled"
	// MaintenanceModeDisabled: the machine may run again.
	MaintenanceModeDisabled Reason = "MaintenanceModeDisabled"
	// MaintenanceModeFailure: the machine could not be kept off; the message says why.
	MaintenanceModeFailure Reason = "MaintenanceModeFailure"
)

// Reasons of SnapshotReady.
const (
	// SnapshotInProgress: the snapshot is being taken.
	SnapshotInProgress Reason = "SnapshotInProgress"
	// SnapshotReady: the snapshot can be used.
	SnapshotReady Reason = "SnapshotReady"
	// SnapshotCleanedUp: the snapshot was removed after use.
	SnapshotCleanedUp Reason = "SnapshotCleanedUp"
	// SnapshotFailed: the snapshot could not be taken; the message says why.
	SnapshotFailed Reason = "SnapshotFailed"
)

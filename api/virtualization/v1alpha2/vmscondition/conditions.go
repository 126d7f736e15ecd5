package vmscondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineSnapshot.
const (
	// VirtualMachineReadyType tells whether the machine can be snapshotted.
	VirtualMachineReadyType Type = "VirtualMachineReady"
	// VirtualMachineSnapshotReadyType tells whether the snapshot can be used.
	VirtualMachineSnapshotReadyType Type = "VirtualMachineSnapshotReady"
)

// Reasons of VirtualMachineReady.
const (
	// VirtualMachineReady: the machine can be snapshotted.
	VirtualMachineReady Reason = "VirtualMachineReady"
	// VirtualMachineNotReadyForSnapshotting: the machine is missing or not ready.
	VirtualMachineNotReadyForSnapshotting Reason = "VirtualMachineNotReadyForSnapshotting"
)

// Reasons of VirtualMachineSnapshotReady.
const (
	// VirtualMachineSnapshotReady: the snapshot can be used.
	VirtualMachineSnapshotReady Reason = "VirtualMachineSnapshotReady"
	// WaitingForTheVirtualMachine: the machine is missing or not ready.
	WaitingForTheVirtualMachine Reason = "WaitingForTheVirtualMachine"
	// BlockDevicesNotReady: a disk of the machine is not ready.
	BlockDevicesNotReady Reason = "BlockDevicesNotReady"
	// PotentiallyInconsistent: the guest cannot freeze its file systems, and consistency is required.
	PotentiallyInconsistent Reason = "PotentiallyInconsistent"
	// VirtualDiskSnapshotLost: the snapshot of a disk is gone.
	VirtualDiskSnapshotLost Reason = "VirtualDiskSnapshotLost"
	// FileSystemFreezing: the guest is freezing its file systems.
	FileSystemFreezing Reason = "FileSystemFreezing"
	// FileSystemUnfreezing: the guest is thawing its file systems.
	FileSystemUnfreezing Reason = "FileSystemUnfreezing"
	// Snapshotting: the snapshots of the disks are being taken.
	Snapshotting Reason = "Snapshotting"
	// VirtualMachineSnapshotFailed: the snapshot could not be taken; the message says why.
	VirtualMachineSnapshotFailed Reason = "VirtualMachineSnapshotFailed"
)

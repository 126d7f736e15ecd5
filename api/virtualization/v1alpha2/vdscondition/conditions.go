package vdscondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualDiskSnapshot.
const (
	// VirtualDiskReadyType tells whether the disk can be snapshotted.
	VirtualDiskReadyType Type = "VirtualDiskReady"
	// VirtualDiskSnapshotReadyType tells whether the snapshot can be used.
	VirtualDiskSnapshotReadyType Type = "VirtualDiskSnapshotReady"
)

// Reasons of VirtualDiskReady.
const (
	// VirtualDiskReady: the disk can be snapshotted.
	VirtualDiskReady Reason = "VirtualDiskReady"
	// VirtualDiskNotReadyForSnapshotting: the disk is missing or not ready.
	VirtualDiskNotReadyForSnapshotting Reason = "VirtualDiskNotReadyForSnapshotting"
)

// Reasons of VirtualDiskSnapshotReady.
const (
	// VirtualDiskSnapshotReady: the snapshot can be used.
	VirtualDiskSnapshotReady Reason = "VirtualDiskSnapshotReady"
	// WaitingForTheVirtualDisk: the disk is missing or not ready.
	WaitingForTheVirtualDisk Reason = "WaitingForTheVirtualDisk"
	// PotentiallyInconsistent: the guest cannot freeze its file systems, and consistency is required.
	PotentiallyInconsistent Reason = "PotentiallyInconsistent"
	// Lost: the content of the snapshot is gone.
	Lost Reason = "Lost"
	// FileSystemFreezing: the guest is freezing its file systems.
	FileSystemFreezing Reason = "FileSystemFreezing"
	// FileSystemUnfreezing: the guest is thawing its file systems.
	FileSystemUnfreezing Reason = "FileSystemUnfreezing"
	// Snapshotting: the snapshot is being taken.
	Snapshotting Reason = "Snapshotting"
	// VirtualDiskSnapshotFailed: the snapshot could not be taken; the message says why.
	VirtualDiskSnapshotFailed Reason = "VirtualDiskSnapshotFailed"
)

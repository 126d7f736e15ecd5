package vdcondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualDisk.
const (
	// DatasourceReadyType tells whether the source of the content can be used.
	DatasourceReadyType Type = "DatasourceReady"
	// ReadyType tells whether the disk can be used.
	ReadyType Type = "Ready"
	// ResizingType is present while the disk grows.
	ResizingType Type = "Resizing"
	// SnapshottingType is present while a snapshot of the disk is taken.
	SnapshottingType Type = "Snapshotting"
	// StorageClassReadyType tells whether the storage class can be used.
	StorageClassReadyType Type = "StorageClassReady"
	// InUseType tells whether something uses the disk.
	InUseType Type = "InUse"
	// MigratingType is present while the disk moves to another volume.
	MigratingType Type = "Migrating"
)

// Reasons of DatasourceReady.
const (
	// DatasourceReady: the source can be used.
	DatasourceReady Reason = "DatasourceReady"
	// ContainerRegistrySecretNotFound: the Secret with the registry's credentials is missing.
	ContainerRegistrySecretNotFound Reason = "ContainerRegistrySecretNotFound"
	// ImageNotReady: the VirtualImage it copies is missing or not ready.
	ImageNotReady Reason = "ImageNotReady"
	// ClusterImageNotReady: the ClusterVirtualImage it copies is missing or not ready.
	ClusterImageNotReady Reason = "ClusterImageNotReady"
	// VirtualDiskSnapshot: the VirtualDiskSnapshot it copies is missing or not ready.
	VirtualDiskSnapshot Reason = "VirtualDiskSnapshot"
	// ImageNotFound: the VirtualImage it copies is missing.
	ImageNotFound Reason = "ImageNotFound"
	// ClusterImageNotFound: the ClusterVirtualImage it copies is missing.
	ClusterImageNotFound Reason = "ClusterImageNotFound"
)

// Reasons of Ready.
const (
	// Ready: the disk can be used.
	Ready Reason = "Ready"
	// WaitForUserUpload: the upload has not come yet.
	WaitForUserUpload Reason = "WaitForUserUpload"
	// Provisioning: the content is being fetched.
	Provisioning Reason = "Provisioning"
	// ProvisioningNotStarted: fetching the content has not begun.
	ProvisioningNotStarted Reason = "ProvisioningNotStarted"
	// ProvisioningFailed: the content could not be fetched; the message says why.
	ProvisioningFailed Reason = "ProvisioningFailed"
	// WaitingForFirstConsumer: the storage class binds volumes late, and no machine wants the disk yet.
	WaitingForFirstConsumer Reason = "WaitingForFirstConsumer"
	// PVCLost: the disk's volume is gone.
	PVCLost Reason = "PVCLost"
	// Exporting: a data export reads the disk.
	Exporting Reason = "Exporting"
	// QuotaExceeded: a quota of the namespace leaves no room.
	QuotaExceeded Reason = "QuotaExceeded"
	// ImagePullFailed: the container image could not be pulled.
	ImagePullFailed Reason = "ImagePullFailed"
	// DatasourceIsNotReady: the source cannot be used.
	DatasourceIsNotReady Reason = "DatasourceIsNotReady"
	// DatasourceIsNotFound: the source is missing.
	DatasourceIsNotFound Reason = "DatasourceIsNotFound"
	// StorageClassIsNotReady: the storage class is missing or not usable.
	StorageClassIsNotReady Reason = "StorageClassIsNotReady"
)

// Reasons of Resizing.
const (
	// InProgress: the disk is growing or moving.
	InProgress Reason = "InProgress"
)

// Reasons of Snapshotting.
const (
	// Snapshotting: a snapshot is being taken.
	Snapshotting Reason = "Snapshotting"
	// NotAvailable: no snapshot can be taken now.
	NotAvailable Reason = "NotAvailable"
)

// Reasons of StorageClassReady.
const (
	// StorageClassReady: the storage class can be used.
	StorageClassReady Reason = "StorageClassReady"
	// StorageClassNotReady: the storage class, or a default one, is missing or not usable.
	StorageClassNotReady Reason = "StorageClassNotReady"
)

// Reasons of InUse.
const (
	// UsedForImageCreation: an image is made from the disk.
	UsedForImageCreation Reason = "UsedForImageCreation"
	// UsedForDataExport: a data export reads the disk.
	UsedForDataExport Reason = "UsedForDataExport"
	// AttachedToVirtualMachine: a machine has the disk attached.
	AttachedToVirtualMachine Reason = "AttachedToVirtualMachine"
	// NotInUse: nothing uses the disk.
	NotInUse Reason = "NotInUse"
)

// Reasons of Migrating.
const (
	// WaitForTargetReady: the target volume is not ready.
	WaitForTargetReady Reason = "WaitForTargetReady"
	// ResizingInProgress: the move waits until the disk has grown.
	ResizingInProgress Reason = "ResizingInProgress"
	// SnapshottingInProgress: the move waits until the snapshot is taken.
	SnapshottingInProgress Reason = "SnapshottingInProgress"
	// StorageClassNotFound: the storage class to move to is missing.
	StorageClassNotFound Reason = "StorageClassNotFound"
)

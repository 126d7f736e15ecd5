package cvicondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of ClusterVirtualImage.
const (
	// DatasourceReadyType tells whether the source of the content can be used.
	DatasourceReadyType Type = "DatasourceReady"
	// ReadyType tells whether the image can be used.
	ReadyType Type = "Ready"
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
	// VirtualDiskNotReady: the VirtualDisk it copies is missing or not ready.
	VirtualDiskNotReady Reason = "VirtualDiskNotReady"
	// VirtualDiskNotReadyForUse: the VirtualDisk it copies is used by something else.
	VirtualDiskNotReadyForUse Reason = "VirtualDiskNotReadyForUse"
	// VirtualDiskAttachedToVirtualMachine: the VirtualDisk it copies is attached to a machine that runs.
	VirtualDiskAttachedToVirtualMachine Reason = "VirtualDiskAttachedToVirtualMachine"
	// VirtualDiskSnapshotNotReady: the VirtualDiskSnapshot it copies is missing or not ready.
	VirtualDiskSnapshotNotReady Reason = "VirtualDiskSnapshotNotReady"
)

// Reasons of Ready.
const (
	// Ready: the image can be used.
	Ready Reason = "Ready"
	// WaitForUserUpload: the upload has not come yet.
	WaitForUserUpload Reason = "WaitForUserUpload"
	// Provisioning: the content is being fetched.
	Provisioning Reason = "Provisioning"
	// ProvisioningNotStarted: fetching the content has not begun.
	ProvisioningNotStarted Reason = "ProvisioningNotStarted"
	// ProvisioningFailed: the content could not be fetched; the message says why.
	ProvisioningFailed Reason = "ProvisioningFailed"
	// ImageLost: the image's content is gone from the registry.
	ImageLost Reason = "ImageLost"
)

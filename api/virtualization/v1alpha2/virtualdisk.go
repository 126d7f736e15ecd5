package v1alpha2

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VirtualDisk is a writable disk for machines of its namespace, blank or filled once from a source.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vd},singular=virtualdisk
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Capacity",type="string",JSONPath=".status.capacity"
// +kubebuilder:printcolumn:name="InUse",type="string",JSONPath=".status.conditions[?(@.type=='InUse')].status",priority=1
// +kubebuilder:printcolumn:name="VirtualMachine",type="string",JSONPath=".status.attachedToVirtualMachines[?(@.mounted==true)].name"
// +kubebuilder:printcolumn:name="Progress",type="string",JSONPath=".status.progress",priority=1
// +kubebuilder:printcolumn:name="StorageClass",type="string",JSONPath=".status.storageClassName",priority=1
// +kubebuilder:printcolumn:name="TargetPVC",type="string",JSONPath=".status.target.persistentVolumeClaimName",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualDisk struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualDiskSpec `json:"spec"`
	// +optional
	Status VirtualDiskStatus `json:"status,omitzero"`
}

// VirtualDiskList is a list of VirtualDisk.
//
// +kubebuilder:object:root=true
type VirtualDiskList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualDisk `json:"items"`
}

// VirtualDiskSpec says how large the disk is and what it starts with.
type VirtualDiskSpec struct {
	// DataSource of the first content; none makes a blank disk. It cannot change once the disk is ready.
	// +optional
	DataSource *VirtualDiskDataSource `json:"dataSource,omitempty"`
	// PersistentVolumeClaim describes the volume behind the disk.
	// +optional
	PersistentVolumeClaim VirtualDiskPersistentVolumeClaim `json:"persistentVolumeClaim,omitzero"`
}

// VirtualDiskPersistentVolumeClaim describes the volume behind a disk.
type VirtualDiskPersistentVolumeClaim struct {
	// StorageClassName of the volume; empty means the default class.
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
	// Size of the disk. It may grow and never shrinks; a blank disk needs it, others take at least their source's size.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
}

// VirtualDiskDataSource is the origin of a disk's first content.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'HTTP' ? has(self.http) && !has(self.containerImage) && !has(self.objectRef) : true",message="type HTTP needs http, and neither containerImage nor objectRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'ContainerImage' ? has(self.containerImage) && !has(self.http) && !has(self.objectRef) : true",message="type ContainerImage needs containerImage, and neither http nor objectRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'ObjectRef' ? has(self.objectRef) && !has(self.http) && !has(self.containerImage) : true",message="type ObjectRef needs objectRef, and neither http nor containerImage"
type VirtualDiskDataSource struct {
	// Type of the source; the field of the same name must be set, except for Upload.
	// +kubebuilder:validation:Enum=HTTP;ContainerImage;ObjectRef;Upload
	// +optional
	Type DataSourceType `json:"type,omitempty"`
	// HTTP is a file on a web server.
	// +optional
	HTTP *HTTPSource `json:"http,omitempty"`
	// ContainerImage is an image in a registry that carries a disk file.
	// +optional
	ContainerImage *ContainerImageSource `json:"containerImage,omitempty"`
	// ObjectRef is another object whose content is copied.
	// +optional
	ObjectRef *VirtualDiskObjectRef `json:"objectRef,omitempty"`
}

// VirtualDiskObjectRef names the object that a VirtualDisk copies.
type VirtualDiskObjectRef struct {
	// Kind of the object.
	// +kubebuilder:validation:Enum=ClusterVirtualImage;VirtualImage;VirtualDiskSnapshot
	Kind ObjectRefKind `json:"kind"`
	// Name of the object; in the disk's own namespace unless the kind is cluster-wide.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// DiskPhase is the summary of a disk's conditions.
type DiskPhase string

// Phases of VirtualDisk.
const (
	// DiskPending waits for what the disk depends on.
	DiskPending DiskPhase = "Pending"
	// DiskProvisioning is making and filling the volume.
	DiskProvisioning DiskPhase = "Provisioning"
	// DiskWaitForUserUpload waits for the user's upload.
	DiskWaitForUserUpload DiskPhase = "WaitForUserUpload"
	// DiskWaitForFirstConsumer waits for a machine, because its storage class binds volumes late.
	DiskWaitForFirstConsumer DiskPhase = "WaitForFirstConsumer"
	// DiskReady can be used.
	DiskReady DiskPhase = "Ready"
	// DiskResizing is growing.
	DiskResizing DiskPhase = "Resizing"
	// DiskFailed could not be provisioned.
	DiskFailed DiskPhase = "Failed"
	// DiskPVCLost was ready, and its volume is gone.
	DiskPVCLost DiskPhase = "PVCLost"
	// DiskExporting is being read by a data export.
	DiskExporting DiskPhase = "Exporting"
	// DiskTerminating is being deleted.
	DiskTerminating DiskPhase = "Terminating"
	// DiskMigrating moves to another volume.
	DiskMigrating DiskPhase = "Migrating"
)

// VirtualDiskStatus is what was observed of the disk.
type VirtualDiskStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Provisioning;WaitForUserUpload;WaitForFirstConsumer;Ready;Resizing;Failed;PVCLost;Exporting;Terminating;Migrating
	// +optional
	Phase DiskPhase `json:"phase,omitempty"`
	// Progress of filling the disk, in percent.
	// +optional
	Progress string `json:"progress,omitempty"`
	// Capacity of the volume.
	// +optional
	Capacity string `json:"capacity,omitempty"`
	// StorageClassName of the volume.
	// +optional
	StorageClassName string `json:"storageClassName,omitempty"`
	// Target is the volume behind the disk.
	// +optional
	Target DiskTarget `json:"target,omitzero"`
	// AttachedToVirtualMachines lists the machines that name the disk.
	// +optional
	AttachedToVirtualMachines []AttachedVirtualMachine `json:"attachedToVirtualMachines,omitempty"`
	// DownloadSpeed of the content.
	// +optional
	DownloadSpeed *DownloadSpeed `json:"downloadSpeed,omitempty"`
	// Stats are the durations of the disk's creation.
	// +optional
	Stats VirtualDiskStats `json:"stats,omitzero"`
	// SourceUID is the UID of the object from which the content was copied.
	// +optional
	SourceUID *string `json:"sourceUID,omitempty"`
	// ImageUploadURLs accept the upload while the disk waits for it.
	// +optional
	ImageUploadURLs *ImageUploadURLs `json:"imageUploadURLs,omitempty"`
	// UploadCommand is deprecated; ImageUploadURLs has the addresses.
	// +optional
	UploadCommand string `json:"uploadCommand,omitempty"`
	// MigrationState is the last move to another volume.
	// +optional
	MigrationState VirtualDiskMigrationState `json:"migrationState,omitzero"`
	// Conditions of the disk; types and reasons are in package vdcondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// DiskTarget is the volume behind a disk.
type DiskTarget struct {
	// PersistentVolumeClaimName is the claim's name in the disk's namespace.
	// +optional
	PersistentVolumeClaimName string `json:"persistentVolumeClaimName,omitempty"`
}

// AttachedVirtualMachine is a machine that names a disk.
type AttachedVirtualMachine struct {
	// Name of the machine.
	// +optional
	Name string `json:"name,omitempty"`
	// Mounted tells that the machine has the disk attached now.
	// +optional
	Mounted bool `json:"mounted,omitempty"`
}

// VirtualDiskStats are the durations of a disk's creation.
type VirtualDiskStats struct {
	// CreationDuration by stage.
	// +optional
	CreationDuration VirtualDiskCreationDuration `json:"creationDuration,omitzero"`
}

// VirtualDiskCreationDuration is the time a disk's creation took, by stage.
type VirtualDiskCreationDuration struct {
	// WaitingForDependencies until the source and the storage class were ready.
	// +nullable
	// +optional
	WaitingForDependencies *metav1.Duration `json:"waitingForDependencies,omitempty"`
	// DVCRProvisioning of the source in the registry.
	// +nullable
	// +optional
	DVCRProvisioning *metav1.Duration `json:"dvcrProvisioning,omitempty"`
	// TotalProvisioning from the object's creation to the ready disk.
	// +nullable
	// +optional
	TotalProvisioning *metav1.Duration `json:"totalProvisioning,omitempty"`
}

// VirtualDiskMigrationState is the last move of a disk to another volume.
type VirtualDiskMigrationState struct {
	// SourcePVC is the claim that the disk leaves.
	// +optional
	SourcePVC string `json:"sourcePVC,omitempty"`
	// TargetPVC is the claim that the disk moves to.
	// +optional
	TargetPVC string `json:"targetPVC,omitempty"`
	// Result of the move, once it has ended.
	// +kubebuilder:validation:Enum=Succeeded;Failed
	// +optional
	Result VirtualDiskMigrationResult `json:"result,omitempty"`
	// Message explains the result.
	// +optional
	Message string `json:"message,omitempty"`
	// StartTimestamp of the move.
	// +optional
	StartTimestamp metav1.Time `json:"startTimestamp,omitzero"`
	// EndTimestamp of the move.
	// +optional
	EndTimestamp metav1.Time `json:"endTimestamp,omitzero"`
}

// VirtualDiskMigrationResult is how a move of a disk ended.
type VirtualDiskMigrationResult string

// Results of a disk's move.
const (
	VirtualDiskMigrationSucceeded VirtualDiskMigrationResult = "Succeeded"
	VirtualDiskMigrationFailed    VirtualDiskMigrationResult = "Failed"
)

package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualMachineBlockDeviceAttachment attaches a disk or image to a machine while it runs; deleting it detaches.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmbda},singular=virtualmachineblockdeviceattachment
// +kubebuilder:printcolumn:name="PHASE",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="BLOCKDEVICE KIND",type="string",JSONPath=".spec.blockDeviceRef.kind",priority=1
// +kubebuilder:printcolumn:name="BLOCKDEVICE NAME",type="string",JSONPath=".spec.blockDeviceRef.name",priority=1
// +kubebuilder:printcolumn:name="VIRTUALMACHINE",type="string",JSONPath=".status.virtualMachineName"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineBlockDeviceAttachment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineBlockDeviceAttachmentSpec `json:"spec"`
	// +optional
	Status VirtualMachineBlockDeviceAttachmentStatus `json:"status,omitzero"`
}

// VirtualMachineBlockDeviceAttachmentList is a list of VirtualMachineBlockDeviceAttachment.
//
// +kubebuilder:object:root=true
type VirtualMachineBlockDeviceAttachmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineBlockDeviceAttachment `json:"items"`
}

// VirtualMachineBlockDeviceAttachmentSpec says what is attached to which machine.
type VirtualMachineBlockDeviceAttachmentSpec struct {
	// VirtualMachineName is the machine.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineName string `json:"virtualMachineName"`
	// BlockDeviceRef is the disk or image.
	BlockDeviceRef AttachmentDeviceRef `json:"blockDeviceRef"`
}

// AttachmentDeviceRef names a disk or image to attach.
type AttachmentDeviceRef struct {
	// Kind of the device.
	// +kubebuilder:validation:Enum=VirtualDisk;VirtualImage;ClusterVirtualImage
	// +optional
	Kind BlockDeviceKind `json:"kind,omitempty"`
	// Name of the device.
	// +kubebuilder:validation:MinLength=1
	// +optional
	Name string `json:"name,omitempty"`
}

// AttachmentPhase is the summary of an attachment's conditions.
type AttachmentPhase string

// Phases of VirtualMachineBlockDeviceAttachment.
const (
	// AttachmentPending waits for the machine or the device.
	AttachmentPending AttachmentPhase = "Pending"
	// AttachmentInProgress is being attached.
	AttachmentInProgress AttachmentPhase = "InProgress"
	// AttachmentAttached is attached.
	AttachmentAttached AttachmentPhase = "Attached"
	// AttachmentFailed cannot be attached.
	AttachmentFailed AttachmentPhase = "Failed"
	// AttachmentTerminating is being detached.
	AttachmentTerminating AttachmentPhase = "Terminating"
)

// VirtualMachineBlockDeviceAttachmentStatus is what was observed of the attachment.
type VirtualMachineBlockDeviceAttachmentStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;InProgress;Attached;Failed;Terminating
	// +optional
	Phase AttachmentPhase `json:"phase,omitempty"`
	// VirtualMachineName is the machine that has the device.
	// +optional
	VirtualMachineName string `json:"virtualMachineName,omitempty"`
	// Conditions of the attachment; types and reasons are in package vmbdacondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

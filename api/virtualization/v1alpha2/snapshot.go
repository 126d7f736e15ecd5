package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SnapshotPhase is the summary of a snapshot's or a restore's conditions.
type SnapshotPhase string

// Phases of VirtualDiskSnapshot, VirtualMachineSnapshot and VirtualMachineRestore.
const (
	// SnapshotPending waits for what it depends on.
	SnapshotPending SnapshotPhase = "Pending"
	// SnapshotInProgress goes on.
	SnapshotInProgress SnapshotPhase = "InProgress"
	// SnapshotReady is complete.
	SnapshotReady SnapshotPhase = "Ready"
	// SnapshotFailed has not succeeded, and will not.
	SnapshotFailed SnapshotPhase = "Failed"
	// SnapshotTerminating is being deleted.
	SnapshotTerminating SnapshotPhase = "Terminating"
)

// VirtualDiskSnapshot is the content of a disk at one moment.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vdsnapshot,vds},singular=virtualdisksnapshot
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Consistent",type="boolean",JSONPath=".status.consistent"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualDiskSnapshot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualDiskSnapshotSpec `json:"spec"`
	// +optional
	Status VirtualDiskSnapshotStatus `json:"status,omitzero"`
}

// VirtualDiskSnapshotList is a list of VirtualDiskSnapshot.
//
// +kubebuilder:object:root=true
type VirtualDiskSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualDiskSnapshot `json:"items"`
}

// VirtualDiskSnapshotSpec says of which disk the snapshot is.
type VirtualDiskSnapshotSpec struct {
	// VirtualDiskName is the disk.
	// +kubebuilder:validation:MinLength=1
	VirtualDiskName string `json:"virtualDiskName"`
	// RequiredConsistency refuses a snapshot of a disk in use whose guest cannot freeze its file systems.
	// +kubebuilder:default=true
	// +optional
	RequiredConsistency *bool `json:"requiredConsistency,omitempty"`
}

// VirtualDiskSnapshotStatus is what was observed of the snapshot.
type VirtualDiskSnapshotStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;InProgress;Ready;Failed;Terminating
	// +optional
	Phase SnapshotPhase `json:"phase,omitempty"`
	// Consistent tells that the disk was at rest or its file systems were frozen.
	// +optional
	Consistent *bool `json:"consistent,omitempty"`
	// VolumeSnapshotName is the VolumeSnapshot that holds the content.
	// +optional
	VolumeSnapshotName string `json:"volumeSnapshotName,omitempty"`
	// Conditions of the snapshot; types and reasons are in package vdscondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// VirtualMachineSnapshot is a machine's spec and the content of its disks at one moment.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmsnapshot,vms},singular=virtualmachinesnapshot
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Consistent",type="boolean",JSONPath=".status.consistent"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineSnapshot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineSnapshotSpec `json:"spec"`
	// +optional
	Status VirtualMachineSnapshotStatus `json:"status,omitzero"`
}

// VirtualMachineSnapshotList is a list of VirtualMachineSnapshot.
//
// +kubebuilder:object:root=true
type VirtualMachineSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineSnapshot `json:"items"`
}

// VirtualMachineSnapshotSpec says of which machine the snapshot is.
type VirtualMachineSnapshotSpec struct {
	// VirtualMachineName is the machine.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineName string `json:"virtualMachineName"`
	// RequiredConsistency refuses a snapshot of a running machine whose guest cannot freeze its file systems.
	// +kubebuilder:default=true
	RequiredConsistency bool `json:"requiredConsistency"`
	// KeepIPAddress says whether the machine's address is made static for the restore.
	// +kubebuilder:default=Always
	// +kubebuilder:validation:Enum=Always;Never
	KeepIPAddress KeepIPAddress `json:"keepIPAddress"`
}

// KeepIPAddress says whether a machine's address is kept for a restore.
type KeepIPAddress string

// Ways to treat a machine's address.
const (
	// KeepIPAddressAlways makes an automatic address static.
	KeepIPAddressAlways KeepIPAddress = "Always"
	// KeepIPAddressNever leaves an automatic address automatic.
	KeepIPAddressNever KeepIPAddress = "Never"
)

// VirtualMachineSnapshotStatus is what was observed of the snapshot.
type VirtualMachineSnapshotStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;InProgress;Ready;Failed;Terminating
	Phase SnapshotPhase `json:"phase"`
	// Consistent tells that the machine was off or its file systems were frozen.
	// +optional
	Consistent *bool `json:"consistent,omitempty"`
	// VirtualMachineSnapshotSecretName is the Secret that holds the specs.
	// +optional
	VirtualMachineSnapshotSecretName string `json:"virtualMachineSnapshotSecretName,omitempty"`
	// VirtualDiskSnapshotNames are the snapshots of the disks.
	// +optional
	VirtualDiskSnapshotNames []string `json:"virtualDiskSnapshotNames,omitempty"`
	// Resources that the snapshot holds.
	// +optional
	Resources []SnapshotResource `json:"resources,omitempty"`
	// Conditions of the snapshot; types and reasons are in package vmscondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// SnapshotResource is an object that a snapshot holds.
type SnapshotResource struct {
	// APIVersion of the object.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the object.
	// +optional
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	// +optional
	Name string `json:"name,omitempty"`
}

// VirtualMachineRestore puts a machine back to a snapshot. Deprecated by VirtualMachineOperation of type Restore.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:deprecatedversion:warning="VirtualMachineRestore is deprecated: use VirtualMachineOperation with type Restore or Clone"
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmrestore},singular=virtualmachinerestore
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineRestore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineRestoreSpec `json:"spec"`
	// +optional
	Status VirtualMachineRestoreStatus `json:"status,omitzero"`
}

// VirtualMachineRestoreList is a list of VirtualMachineRestore.
//
// +kubebuilder:object:root=true
type VirtualMachineRestoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineRestore `json:"items"`
}

// VirtualMachineRestoreSpec says what is restored and under which names.
type VirtualMachineRestoreSpec struct {
	// VirtualMachineSnapshotName is the snapshot.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineSnapshotName string `json:"virtualMachineSnapshotName"`
	// RestoreMode says what happens to objects that exist.
	// +kubebuilder:default=Safe
	// +kubebuilder:validation:Enum=Safe;Forced
	// +optional
	RestoreMode RestoreMode `json:"restoreMode,omitempty"`
	// NameReplacements give restored objects new names.
	// +optional
	NameReplacements []NameReplacement `json:"nameReplacements,omitempty"`
}

// RestoreMode says what a restore does to objects that exist.
type RestoreMode string

// Restore modes.
const (
	// RestoreSafe refuses when an object of the same name exists.
	RestoreSafe RestoreMode = "Safe"
	// RestoreForced puts existing objects back to the snapshot's state.
	RestoreForced RestoreMode = "Forced"
)

// VirtualMachineRestoreStatus is what was observed of the restore.
type VirtualMachineRestoreStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;InProgress;Ready;Failed;Terminating
	Phase SnapshotPhase `json:"phase"`
	// Conditions of the restore; types and reasons are in package vmrestorecondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// VirtualMachineSnapshotOperation makes something out of a machine's snapshot, once; its spec cannot change.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmsop},singular=virtualmachinesnapshotoperation
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=".spec.type"
// +kubebuilder:printcolumn:name="VirtualMachineSnapshot",type="string",JSONPath=".spec.virtualMachineSnapshotName"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineSnapshotOperation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineSnapshotOperationSpec `json:"spec"`
	// +optional
	Status VirtualMachineSnapshotOperationStatus `json:"status,omitzero"`
}

// VirtualMachineSnapshotOperationList is a list of VirtualMachineSnapshotOperation.
//
// +kubebuilder:object:root=true
type VirtualMachineSnapshotOperationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineSnapshotOperation `json:"items"`
}

// VirtualMachineSnapshotOperationSpec says what is made out of which snapshot.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec cannot change: make a new operation"
// +kubebuilder:validation:XValidation:rule="self.type == 'CreateVirtualMachineName' ? has(self.createVirtualMachine) : true",message="type CreateVirtualMachineName needs createVirtualMachine"
type VirtualMachineSnapshotOperationSpec struct {
	// Type of the operation.
	// +kubebuilder:validation:Enum=CreateVirtualMachine
	Type SnapshotOperationType `json:"type"`
	// VirtualMachineSnapshotName is the snapshot.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineSnapshotName string `json:"virtualMachineSnapshotName"`
	// CreateVirtualMachine says how the new machine is made and named, for type CreateVirtualMachine.
	// +optional
	CreateVirtualMachine *CloneOptions `json:"createVirtualMachine,omitempty"`
}

// SnapshotOperationType is a sort of operation on a snapshot.
type SnapshotOperationType string

// SnapshotOperationCreateVirtualMachine makes a new machine out of the snapshot.
const SnapshotOperationCreateVirtualMachine SnapshotOperationType = "CreateVirtualMachine"

// VirtualMachineSnapshotOperationStatus is what was observed of the operation.
type VirtualMachineSnapshotOperationStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;InProgress;Completed;Failed;Terminating
	Phase OperationPhase `json:"phase"`
	// Resources that the operation makes.
	// +optional
	Resources []OperationResource `json:"resources,omitempty"`
	// Conditions of the operation; types and reasons are in package vmsopcondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

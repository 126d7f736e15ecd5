package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualMachineOperation does one thing to a machine, once; its spec cannot change.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmop},singular=virtualmachineoperation
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Progress",type="string",JSONPath=".status.progress"
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=".spec.type"
// +kubebuilder:printcolumn:name="VirtualMachine",type="string",JSONPath=".spec.virtualMachineName"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineOperation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineOperationSpec `json:"spec"`
	// +optional
	Status VirtualMachineOperationStatus `json:"status,omitzero"`
}

// VirtualMachineOperationList is a list of VirtualMachineOperation.
//
// +kubebuilder:object:root=true
type VirtualMachineOperationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineOperation `json:"items"`
}

// VirtualMachineOperationSpec says what is done to which machine.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec cannot change: make a new operation"
// +kubebuilder:validation:XValidation:rule="self.type == 'Start' ? !has(self.force) || !self.force : true",message="type Start takes no force"
// +kubebuilder:validation:XValidation:rule="self.type == 'Restore' ? has(self.restore) : true",message="type Restore needs restore"
// +kubebuilder:validation:XValidation:rule="self.type == 'Clone' ? has(self.clone) : true",message="type Clone needs clone"
// +kubebuilder:validation:XValidation:rule="!(has(self.migrate)) || self.type == 'Migrate'",message="migrate is for type Migrate only"
type VirtualMachineOperationSpec struct {
	// Type of the operation.
	// +kubebuilder:validation:Enum=Restart;Start;Stop;Migrate;Evict;Restore;Clone
	Type OperationType `json:"type"`
	// VirtualMachineName is the machine.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineName string `json:"virtualMachineName"`
	// Force switches the machine off without asking the guest, or lets a move slow the guest down.
	// +optional
	Force *bool `json:"force,omitempty"`
	// Migrate says where to, for type Migrate.
	// +optional
	Migrate *MigrateTarget `json:"migrate,omitempty"`
	// Restore says from what, for type Restore.
	// +optional
	Restore *RestoreSource `json:"restore,omitempty"`
	// Clone says how the copy is named, for type Clone.
	// +optional
	Clone *CloneOptions `json:"clone,omitempty"`
}

// OperationType is a sort of operation.
type OperationType string

// Sorts of operations.
const (
	// OperationStart starts a stopped machine.
	OperationStart OperationType = "Start"
	// OperationStop stops a running machine.
	OperationStop OperationType = "Stop"
	// OperationRestart stops a running machine and starts it again.
	OperationRestart OperationType = "Restart"
	// OperationMigrate moves a running machine to another node.
	OperationMigrate OperationType = "Migrate"
	// OperationEvict moves a running machine away from its node.
	OperationEvict OperationType = "Evict"
	// OperationRestore puts a machine back to a snapshot.
	OperationRestore OperationType = "Restore"
	// OperationClone makes a copy of a machine and its disks.
	OperationClone OperationType = "Clone"
)

// MigrateTarget says where a machine moves to.
type MigrateTarget struct {
	// NodeSelector holds labels that the target node must have.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
}

// RestoreSource says what a machine is put back to.
type RestoreSource struct {
	// Mode of the restore.
	// +kubebuilder:validation:Enum=DryRun;Strict;BestEffort
	Mode OperationMode `json:"mode"`
	// VirtualMachineSnapshotName is the snapshot.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineSnapshotName string `json:"virtualMachineSnapshotName"`
}

// CloneOptions say how a copy is made and named.
//
// +kubebuilder:validation:XValidation:rule="(has(self.customization) && ((has(self.customization.namePrefix) && size(self.customization.namePrefix) > 0) || (has(self.customization.nameSuffix) && size(self.customization.nameSuffix) > 0))) || (has(self.nameReplacement) && size(self.nameReplacement) > 0)",message="a copy needs other names: set customization.namePrefix, customization.nameSuffix or nameReplacement"
type CloneOptions struct {
	// Mode of the copy.
	// +kubebuilder:validation:Enum=DryRun;Strict;BestEffort
	Mode OperationMode `json:"mode"`
	// NameReplacement gives single objects new names.
	// +kubebuilder:validation:XValidation:rule="self.all(nr, has(nr.to) && size(nr.to) >= 1 && size(nr.to) <= 59)",message="a new name has 1 to 59 characters"
	// +optional
	NameReplacement []NameReplacement `json:"nameReplacement,omitempty"`
	// Customization changes the names of all objects.
	// +optional
	Customization *Customization `json:"customization,omitempty"`
}

// OperationMode says how strict an operation on several objects is.
type OperationMode string

// Modes of operations on several objects.
const (
	// ModeDryRun only tells what would happen.
	ModeDryRun OperationMode = "DryRun"
	// ModeStrict does all or nothing.
	ModeStrict OperationMode = "Strict"
	// ModeBestEffort leaves out what cannot be done.
	ModeBestEffort OperationMode = "BestEffort"
)

// NameReplacement gives objects a new name.
type NameReplacement struct {
	// From is the objects' old name.
	From NameReplacementFrom `json:"from"`
	// To is the new name.
	// +kubebuilder:validation:MinLength=1
	To string `json:"to"`
}

// NameReplacementFrom picks objects by their old name.
type NameReplacementFrom struct {
	// Kind of the objects; empty means any.
	// +kubebuilder:validation:MinLength=1
	// +optional
	Kind string `json:"kind,omitempty"`
	// Name of the objects.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// Customization changes the names of all objects of a copy.
//
// +kubebuilder:validation:XValidation:rule="!has(self.namePrefix) || (size(self.namePrefix) >= 1 && size(self.namePrefix) <= 59)",message="namePrefix has 1 to 59 characters"
// +kubebuilder:validation:XValidation:rule="!has(self.nameSuffix) || (size(self.nameSuffix) >= 1 && size(self.nameSuffix) <= 59)",message="nameSuffix has 1 to 59 characters"
type Customization struct {
	// NamePrefix goes before each name.
	// +optional
	NamePrefix string `json:"namePrefix,omitempty"`
	// NameSuffix goes after each name.
	// +optional
	NameSuffix string `json:"nameSuffix,omitempty"`
}

// OperationPhase is the summary of an operation's conditions.
type OperationPhase string

// Phases of VirtualMachineOperation and VirtualMachineSnapshotOperation.
const (
	// OperationPending has not begun.
	OperationPending OperationPhase = "Pending"
	// OperationInProgress goes on.
	OperationInProgress OperationPhase = "InProgress"
	// OperationCompleted has succeeded.
	OperationCompleted OperationPhase = "Completed"
	// OperationFailed has not succeeded, and will not.
	OperationFailed OperationPhase = "Failed"
	// OperationTerminating is being deleted.
	OperationTerminating OperationPhase = "Terminating"
)

// VirtualMachineOperationStatus is what was observed of the operation.
type VirtualMachineOperationStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;InProgress;Completed;Failed;Terminating
	Phase OperationPhase `json:"phase"`
	// Progress of the operation, in percent.
	// +optional
	Progress *string `json:"progress,omitempty"`
	// Resources that the operation touches.
	// +optional
	Resources []OperationResource `json:"resources,omitempty"`
	// Conditions of the operation; types and reasons are in package vmopcondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// OperationResource is an object that an operation touches.
type OperationResource struct {
	// APIVersion of the object.
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Name of the object.
	Name string `json:"name"`
	// Status of the object's part in the operation.
	// +kubebuilder:validation:Enum=InProgress;Completed;Failed
	Status OperationResourceStatus `json:"status"`
	// Message explains the status.
	Message string `json:"message"`
}

// OperationResourceStatus is how far an object's part in an operation is.
type OperationResourceStatus string

// States of an object's part in an operation.
const (
	OperationResourceInProgress OperationResourceStatus = "InProgress"
	OperationResourceCompleted  OperationResourceStatus = "Completed"
	OperationResourceFailed     OperationResourceStatus = "Failed"
)

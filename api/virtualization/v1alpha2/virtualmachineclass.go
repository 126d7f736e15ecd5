package v1alpha2

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VirtualMachineClass is what machines of one sort have in common: CPU model, placement and allowed sizes.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:deprecatedversion:warning="v1alpha2 of VirtualMachineClass is deprecated: use v1alpha3"
// +kubebuilder:resource:categories={virtualization-cluster},scope=Cluster,shortName={vmc,vmclass},singular=virtualmachineclass
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="IsDefault",type="string",JSONPath=".metadata.annotations.virtualmachineclass\\.virtualization\\.deckhouse\\.io\\/is-default-class"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineClassSpec `json:"spec"`
	// +optional
	Status VirtualMachineClassStatus `json:"status,omitzero"`
}

// VirtualMachineClassList is a list of VirtualMachineClass.
//
// +kubebuilder:object:root=true
type VirtualMachineClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineClass `json:"items"`
}

// VirtualMachineClassSpec is the wanted class.
type VirtualMachineClassSpec struct {
	// CPU that guests see; it cannot change.
	CPU ClassCPU `json:"cpu"`
	// NodeSelector picks the nodes for the class's machines.
	// +optional
	NodeSelector ClassNodeSelector `json:"nodeSelector,omitzero"`
	// Tolerations for node taints, added to those of the machines.
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// SizingPolicies are the allowed sizes, by ranges of cores.
	// +optional
	SizingPolicies []SizingPolicy `json:"sizingPolicies,omitempty"`
}

// ClassCPU is the processor that guests of a class see.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.cpu cannot change: make a new class"
// +kubebuilder:validation:XValidation:rule="self.type == 'HostPassthrough' || self.type == 'Host' ? !has(self.model) && !has(self.features) && !has(self.discovery) : true",message="types Host and HostPassthrough take neither model, features nor discovery"
// +kubebuilder:validation:XValidation:rule="self.type == 'Discovery' ? !has(self.model) && !has(self.features) : true",message="type Discovery takes neither model nor features"
// +kubebuilder:validation:XValidation:rule="self.type == 'Model' ? has(self.model) && !has(self.features) && !has(self.discovery) : true",message="type Model needs model, and neither features nor discovery"
// +kubebuilder:validation:XValidation:rule="self.type == 'Features' ? has(self.features) && !has(self.model) && !has(self.discovery) : true",message="type Features needs features, and neither model nor discovery"
type ClassCPU struct {
	// Type says how the processor is chosen.
	// +kubebuilder:validation:Enum=Host;HostPassthrough;Discovery;Model;Features
	Type ClassCPUType `json:"type"`
	// Model of the processor, for type Model.
	// +kubebuilder:validation:MinLength=1
	// +optional
	Model string `json:"model,omitempty"`
	// Features that the processor must have, for type Features.
	// +kubebuilder:validation:MinItems=1
	// +optional
	Features []string `json:"features,omitempty"`
	// Discovery of the features, for type Discovery.
	// +optional
	Discovery CPUDiscovery `json:"discovery,omitzero"`
}

// ClassCPUType says how the processor of a class is chosen.
type ClassCPUType string

// Ways to choose a processor.
const (
	// CPUTypeHost is the named model nearest to the node's processor.
	CPUTypeHost ClassCPUType = "Host"
	// CPUTypeHostPassthrough is the node's processor as it is.
	CPUTypeHostPassthrough ClassCPUType = "HostPassthrough"
	// CPUTypeDiscovery has the features that a set of nodes share.
	CPUTypeDiscovery ClassCPUType = "Discovery"
	// CPUTypeModel is a named model.
	CPUTypeModel ClassCPUType = "Model"
	// CPUTypeFeatures has a list of features.
	CPUTypeFeatures ClassCPUType = "Features"
)

// CPUDiscovery says on which nodes common features are looked for.
type CPUDiscovery struct {
	// NodeSelector picks the nodes; empty means all.
	// +optional
	NodeSelector metav1.LabelSelector `json:"nodeSelector,omitzero"`
}

// ClassNodeSelector picks nodes by labels; both parts must hold.
type ClassNodeSelector struct {
	// MatchLabels that a node must have.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions that must hold for a node's labels.
	// +optional
	MatchExpressions []corev1.NodeSelectorRequirement `json:"matchExpressions,omitempty"`
}

// SizingPolicy is what machines with a number of cores in one range may have.
type SizingPolicy struct {
	// Cores that the policy is for.
	Cores SizingPolicyCores `json:"cores"`
	// Memory that such machines may have.
	// +optional
	Memory *SizingPolicyMemory `json:"memory,omitempty"`
	// CoreFractions that such machines may have, in percent; empty means any.
	// +optional
	CoreFractions []CoreFraction `json:"coreFractions,omitempty"`
	// DefaultCoreFraction for machines that name none, in percent.
	// +optional
	DefaultCoreFraction *CoreFraction `json:"defaultCoreFraction,omitempty"`
	// DedicatedCores that such machines may ask for.
	// +optional
	DedicatedCores []bool `json:"dedicatedCores,omitempty"`
}

// CoreFraction is the guaranteed share of a core, in percent.
//
// +kubebuilder:validation:Minimum=1
// +kubebuilder:validation:Maximum=100
type CoreFraction int

// UnmarshalJSON reads a number, and the percentage that v1alpha3 writes: an object that was stored before the conversion
// between the versions was in place must not make all classes unreadable.
func (f *CoreFraction) UnmarshalJSON(raw []byte) error {
	text := strings.TrimSuffix(strings.Trim(string(raw), `"`), "%")
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("read core fraction %s: write a number from 1 to 100", raw)
	}
	*f = CoreFraction(n)
	return nil
}

// SizingPolicyCores is a range of cores.
//
// +kubebuilder:validation:XValidation:rule="self.max > self.min",message="max must be greater than min"
// +kubebuilder:validation:XValidation:rule="has(self.step) ? self.max > self.step : true",message="max must be greater than step"
type SizingPolicyCores struct {
	// Min number of cores.
	// +kubebuilder:validation:Minimum=1
	Min int `json:"min"`
	// Max number of cores.
	// +kubebuilder:validation:Maximum=1024
	Max int `json:"max"`
	// Step between allowed numbers.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Step int `json:"step,omitempty"`
}

// SizingPolicyMemory is a range of memory sizes.
type SizingPolicyMemory struct {
	// Min size.
	// +optional
	Min *resource.Quantity `json:"min,omitempty"`
	// Max size.
	// +optional
	Max *resource.Quantity `json:"max,omitempty"`
	// Step between allowed sizes.
	// +optional
	Step *resource.Quantity `json:"step,omitempty"`
	// PerCore is the range for each core.
	// +optional
	PerCore SizingPolicyMemoryPerCore `json:"perCore,omitzero"`
}

// SizingPolicyMemoryPerCore is a range of memory sizes for each core.
type SizingPolicyMemoryPerCore struct {
	// Min size.
	// +optional
	Min *resource.Quantity `json:"min,omitempty"`
	// Max size.
	// +optional
	Max *resource.Quantity `json:"max,omitempty"`
}

// ClassPhase is the summary of a class's conditions.
type ClassPhase string

// Phases of VirtualMachineClass.
const (
	// ClassPending cannot be used yet.
	ClassPending ClassPhase = "Pending"
	// ClassReady can be used.
	ClassReady ClassPhase = "Ready"
	// ClassTerminating is being deleted.
	ClassTerminating ClassPhase = "Terminating"
)

// VirtualMachineClassStatus is what was observed of the class.
type VirtualMachineClassStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Ready;Terminating
	Phase ClassPhase `json:"phase"`
	// CPUFeatures that guests get.
	// +optional
	CPUFeatures CPUFeatures `json:"cpuFeatures,omitzero"`
	// AvailableNodes that can run machines of the class.
	// +optional
	AvailableNodes []string `json:"availableNodes,omitempty"`
	// MaxAllocatableResources of the largest available node.
	// +optional
	MaxAllocatableResources corev1.ResourceList `json:"maxAllocatableResources,omitempty"`
	// Conditions of the class; types and reasons are in package vmclasscondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// CPUFeatures are the features of a class's processor.
type CPUFeatures struct {
	// Enabled for the guests.
	// +optional
	Enabled []string `json:"enabled,omitempty"`
	// NotEnabledCommon are shared by all nodes, but not enabled.
	// +optional
	NotEnabledCommon []string `json:"notEnabledCommon,omitempty"`
}

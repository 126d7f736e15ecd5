package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VMAffinity pulls a machine towards nodes, other machines and pods, or keeps it away from them.
type VMAffinity struct {
	// NodeAffinity by labels of nodes. Weights of preferences are from 1 to 100.
	// +kubebuilder:validation:XValidation:rule="!has(self.preferredDuringSchedulingIgnoredDuringExecution) || self.preferredDuringSchedulingIgnoredDuringExecution.all(term, term.weight >= 1 && term.weight <= 100)",message="a weight is from 1 to 100"
	// +optional
	NodeAffinity *corev1.NodeAffinity `json:"nodeAffinity,omitempty"`
	// VirtualMachineAndPodAffinity puts the machine beside others.
	// +optional
	VirtualMachineAndPodAffinity *VirtualMachineAndPodAffinity `json:"virtualMachineAndPodAffinity,omitempty"`
	// VirtualMachineAndPodAntiAffinity keeps the machine away from others.
	// +optional
	VirtualMachineAndPodAntiAffinity *VirtualMachineAndPodAntiAffinity `json:"virtualMachineAndPodAntiAffinity,omitempty"`
}

// VirtualMachineAndPodAffinity puts a machine beside other machines and pods.
type VirtualMachineAndPodAffinity struct {
	// RequiredDuringSchedulingIgnoredDuringExecution must all hold when the machine is placed.
	// +optional
	RequiredDuringSchedulingIgnoredDuringExecution []VirtualMachineAndPodAffinityTerm `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
	// PreferredDuringSchedulingIgnoredDuringExecution are wishes, summed up by weight.
	// +optional
	PreferredDuringSchedulingIgnoredDuringExecution []WeightedVirtualMachineAndPodAffinityTerm `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// VirtualMachineAndPodAntiAffinity keeps a machine away from other machines and pods.
type VirtualMachineAndPodAntiAffinity struct {
	// RequiredDuringSchedulingIgnoredDuringExecution must all hold when the machine is placed.
	// +optional
	RequiredDuringSchedulingIgnoredDuringExecution []VirtualMachineAndPodAffinityTerm `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
	// PreferredDuringSchedulingIgnoredDuringExecution are wishes, summed up by weight.
	// +optional
	PreferredDuringSchedulingIgnoredDuringExecution []WeightedVirtualMachineAndPodAffinityTerm `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// WeightedVirtualMachineAndPodAffinityTerm is a wish with a weight.
type WeightedVirtualMachineAndPodAffinityTerm struct {
	// Weight of the wish.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight"`
	// VirtualMachineAndPodAffinityTerm is the wish.
	VirtualMachineAndPodAffinityTerm VirtualMachineAndPodAffinityTerm `json:"virtualMachineAndPodAffinityTerm"`
}

// VirtualMachineAndPodAffinityTerm selects machines and pods, and says what it means to be beside them. Its fields are
// those of corev1.PodAffinityTerm.
type VirtualMachineAndPodAffinityTerm struct {
	// LabelSelector of the machines and pods.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
	// Namespaces to look in, by name.
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// NamespaceSelector picks namespaces to look in; with no namespaces either, the machine's own is meant.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// TopologyKey is the node label that says which nodes count as one place.
	TopologyKey string `json:"topologyKey"`
	// MatchLabelKeys are labels of the machine whose values the others must share.
	// +optional
	MatchLabelKeys []string `json:"matchLabelKeys,omitempty"`
	// MismatchLabelKeys are labels of the machine whose values the others must not share.
	// +optional
	MismatchLabelKeys []string `json:"mismatchLabelKeys,omitempty"`
}

package v1alpha3

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// VirtualMachineClass is what machines of one sort have in common: CPU model, placement and allowed sizes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization-cluster},scope=Cluster,shortName={vmc,vmclass},singular=virtualmachineclass
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="IsDefault",type="string",JSONPath=".metadata.annotations.virtualmachineclass\\.virtualization\\.deckhouse\\.io\\/is-default-class"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineClassSpec `json:"spec"`
	// +optional
	Status v1alpha2.VirtualMachineClassStatus `json:"status,omitzero"`
}

// VirtualMachineClassList is a list of VirtualMachineClass.
//
// +kubebuilder:object:root=true
type VirtualMachineClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineClass `json:"items"`
}

// VirtualMachineClassSpec is the wanted class. Only the sizing policies differ from v1alpha2.
type VirtualMachineClassSpec struct {
	// CPU that guests see; it cannot change.
	CPU v1alpha2.ClassCPU `json:"cpu"`
	// NodeSelector picks the nodes for the class's machines.
	// +optional
	NodeSelector v1alpha2.ClassNodeSelector `json:"nodeSelector,omitzero"`
	// Tolerations for node taints, added to those of the machines.
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// SizingPolicies are the allowed sizes, by ranges of cores.
	// +optional
	SizingPolicies []SizingPolicy `json:"sizingPolicies,omitempty"`
}

// SizingPolicy is what machines with a number of cores in one range may have.
type SizingPolicy struct {
	// Cores that the policy is for.
	Cores v1alpha2.SizingPolicyCores `json:"cores"`
	// Memory that such machines may have.
	// +optional
	Memory *v1alpha2.SizingPolicyMemory `json:"memory,omitempty"`
	// CoreFractions that such machines may have, such as 50%; empty means any.
	// +optional
	CoreFractions []CoreFraction `json:"coreFractions,omitempty"`
	// DefaultCoreFraction for machines that name none, such as 50%.
	// +optional
	DefaultCoreFraction *CoreFraction `json:"defaultCoreFraction,omitempty"`
	// DedicatedCores that such machines may ask for.
	// +optional
	DedicatedCores []bool `json:"dedicatedCores,omitempty"`
}

// CoreFraction is the guaranteed share of a core: a percentage from 1% to 100%.
type CoreFraction string

// UnmarshalJSON reads a percentage, and the number that v1alpha2 writes: an object that was stored before the conversion
// between the versions was in place must not make all classes unreadable.
func (f *CoreFraction) UnmarshalJSON(raw []byte) error {
	if text, err := strconv.Unquote(string(raw)); err == nil {
		*f = CoreFraction(text)
		return nil
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil {
		return fmt.Errorf("read core fraction %s: write a percentage from 1%% to 100%%", raw)
	}
	*f = fraction(v1alpha2.CoreFraction(n))
	return nil
}

package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualMachineIPAddress keeps an IP address for a machine.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmip},singular=virtualmachineipaddress
// +kubebuilder:printcolumn:name="Address",type="string",JSONPath=".status.address"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="VM",type="string",JSONPath=".status.virtualMachineName"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineIPAddress struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec VirtualMachineIPAddressSpec `json:"spec,omitzero"`
	// +optional
	Status VirtualMachineIPAddressStatus `json:"status,omitzero"`
}

// VirtualMachineIPAddressList is a list of VirtualMachineIPAddress.
//
// +kubebuilder:object:root=true
type VirtualMachineIPAddressList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineIPAddress `json:"items"`
}

// VirtualMachineIPAddressSpec says which address is wanted.
type VirtualMachineIPAddressSpec struct {
	// Type says who picks the address.
	// +kubebuilder:validation:Enum=Auto;Static
	Type VirtualMachineIPAddressType `json:"type"`
	// StaticIP is the address, for type Static.
	// +optional
	StaticIP string `json:"staticIP,omitempty"`
}

// VirtualMachineIPAddressType says who picks an address.
type VirtualMachineIPAddressType string

// Ways to pick an address.
const (
	// IPAddressAuto takes the next free address.
	IPAddressAuto VirtualMachineIPAddressType = "Auto"
	// IPAddressStatic takes the address that the spec names.
	IPAddressStatic VirtualMachineIPAddressType = "Static"
)

// AddressPhase is the summary of an address's conditions.
type AddressPhase string

// Phases of VirtualMachineIPAddress and VirtualMachineMACAddress.
const (
	// AddressPending has no lease yet.
	AddressPending AddressPhase = "Pending"
	// AddressBound has a lease.
	AddressBound AddressPhase = "Bound"
	// AddressAttached has a lease and is used by a machine.
	AddressAttached AddressPhase = "Attached"
)

// VirtualMachineIPAddressStatus is what was observed of the address.
type VirtualMachineIPAddressStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Bound;Attached
	// +optional
	Phase AddressPhase `json:"phase,omitempty"`
	// Address that is kept.
	// +optional
	Address string `json:"address,omitempty"`
	// VirtualMachineName is the machine that uses the address.
	// +optional
	VirtualMachineName string `json:"virtualMachineName,omitempty"`
	// Conditions of the address; types and reasons are in package vmipcondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// VirtualMachineIPAddressLease keeps an IP address unique in the cluster. It is named after the address: ip-10-66-10-5.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization-cluster},scope=Cluster,shortName={vmipl,vmiplease},singular=virtualmachineipaddresslease
// +kubebuilder:printcolumn:name="VirtualMachineIPAddress",type="string",JSONPath=".spec.virtualMachineIPAddressRef"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineIPAddressLease struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec VirtualMachineIPAddressLeaseSpec `json:"spec,omitzero"`
	// +optional
	Status VirtualMachineIPAddressLeaseStatus `json:"status,omitzero"`
}

// VirtualMachineIPAddressLeaseList is a list of VirtualMachineIPAddressLease.
//
// +kubebuilder:object:root=true
type VirtualMachineIPAddressLeaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineIPAddressLease `json:"items"`
}

// VirtualMachineIPAddressLeaseSpec says who holds the lease.
type VirtualMachineIPAddressLeaseSpec struct {
	// VirtualMachineIPAddressRef is the holder; none means that the lease is free to be taken again.
	// +optional
	VirtualMachineIPAddressRef *AddressRef `json:"virtualMachineIPAddressRef,omitempty"`
}

// AddressRef names the address that holds a lease.
type AddressRef struct {
	// Name of the address.
	Name string `json:"name"`
	// Namespace of the address.
	Namespace string `json:"namespace"`
}

// LeasePhase is the summary of a lease's conditions.
type LeasePhase string

// Phases of leases.
const (
	// LeaseBound has a holder.
	LeaseBound LeasePhase = "Bound"
	// LeaseReleased has no holder any more; IP addresses only.
	LeaseReleased LeasePhase = "Released"
)

// VirtualMachineIPAddressLeaseStatus is what was observed of the lease.
type VirtualMachineIPAddressLeaseStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Bound;Released
	// +optional
	Phase LeasePhase `json:"phase,omitempty"`
	// Conditions of the lease; types and reasons are in package vmiplcondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// VirtualMachineMACAddress keeps a MAC address for a machine's interface in an additional network.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vmmac},singular=virtualmachinemacaddress
// +kubebuilder:printcolumn:name="Address",type="string",JSONPath=".status.address"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="VM",type="string",JSONPath=".status.virtualMachineName"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineMACAddress struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec VirtualMachineMACAddressSpec `json:"spec,omitzero"`
	// +optional
	Status VirtualMachineMACAddressStatus `json:"status,omitzero"`
}

// VirtualMachineMACAddressList is a list of VirtualMachineMACAddress.
//
// +kubebuilder:object:root=true
type VirtualMachineMACAddressList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineMACAddress `json:"items"`
}

// VirtualMachineMACAddressSpec says which address is wanted.
type VirtualMachineMACAddressSpec struct {
	// Address to keep; empty means any free one.
	// +kubebuilder:validation:Pattern=`^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$`
	// +optional
	Address string `json:"address,omitempty"`
}

// VirtualMachineMACAddressStatus is what was observed of the address.
type VirtualMachineMACAddressStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Bound;Attached
	// +optional
	Phase AddressPhase `json:"phase,omitempty"`
	// Address that is kept.
	// +optional
	Address string `json:"address,omitempty"`
	// VirtualMachineName is the machine that uses the address.
	// +optional
	VirtualMachineName string `json:"virtualMachineName,omitempty"`
	// Conditions of the address; types and reasons are in package vmmaccondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// VirtualMachineMACAddressLease keeps a MAC address unique in the cluster. It is named after the address:
// mac-aa-bb-cc-00-11-22.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization-cluster},scope=Cluster,shortName={vmmacl,vmmaclease},singular=virtualmachinemacaddresslease
// +kubebuilder:printcolumn:name="VirtualMachineMACAddress",type="string",JSONPath=".spec.virtualMachineMACAddressRef"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachineMACAddressLease struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec VirtualMachineMACAddressLeaseSpec `json:"spec,omitzero"`
	// +optional
	Status VirtualMachineMACAddressLeaseStatus `json:"status,omitzero"`
}

// VirtualMachineMACAddressLeaseList is a list of VirtualMachineMACAddressLease.
//
// +kubebuilder:object:root=true
type VirtualMachineMACAddressLeaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachineMACAddressLease `json:"items"`
}

// VirtualMachineMACAddressLeaseSpec says who holds the lease.
type VirtualMachineMACAddressLeaseSpec struct {
	// VirtualMachineMACAddressRef is the holder.
	// +optional
	VirtualMachineMACAddressRef *AddressRef `json:"virtualMachineMACAddressRef,omitempty"`
}

// VirtualMachineMACAddressLeaseStatus is what was observed of the lease.
type VirtualMachineMACAddressLeaseStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Bound
	// +optional
	Phase LeasePhase `json:"phase,omitempty"`
	// Conditions of the lease; types and reasons are in package vmmaclcondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

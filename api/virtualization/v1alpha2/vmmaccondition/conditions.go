package vmmaccondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineMACAddress.
const (
	// BoundType tells whether the address has a lease.
	BoundType Type = "Bound"
	// AttachedType tells whether a machine uses the address.
	AttachedType Type = "Attached"
)

// Reasons of Bound.
const (
	// Bound: the address has a lease.
	Bound Reason = "Bound"
	// VirtualMachineMACAddressLeaseAlreadyExists: somebody else holds the lease of the address.
	VirtualMachineMACAddressLeaseAlreadyExists Reason = "VirtualMachineMACAddressLeaseAlreadyExists"
	// VirtualMachineMACAddressLeaseLost: the lease is gone.
	VirtualMachineMACAddressLeaseLost Reason = "VirtualMachineMACAddressLeaseLost"
	// VirtualMachineMACAddressLeaseNotFound: the lease has not been made yet.
	VirtualMachineMACAddressLeaseNotFound Reason = "VirtualMachineMACAddressLeaseNotFound"
	// VirtualMachineMACAddressLeaseNotReady: the lease is not bound yet.
	VirtualMachineMACAddressLeaseNotReady Reason = "VirtualMachineMACAddressLeaseNotReady"
)

// Reasons of Attached.
const (
	// VirtualMachineNotFound: no machine uses the address.
	VirtualMachineNotFound Reason = "VirtualMachineNotFound"
	// Attached: a machine uses the address.
	Attached Reason = "Attached"
)

package vmipcondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineIPAddress.
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
	// VirtualMachineIPAddressIsOutOfTheValidRange: the address is outside the ranges that may be given away.
	VirtualMachineIPAddressIsOutOfTheValidRange Reason = "VirtualMachineIPAddressIsOutOfTheValidRange"
	// VirtualMachineIPAddressLeaseAlreadyExists: somebody else holds the lease of the address.
	VirtualMachineIPAddressLeaseAlreadyExists Reason = "VirtualMachineIPAddressLeaseAlreadyExists"
	// VirtualMachineIPAddressLeaseLost: the lease is gone.
	VirtualMachineIPAddressLeaseLost Reason = "VirtualMachineIPAddressLeaseLost"
	// VirtualMachineIPAddressLeaseNotFound: the lease has not been made yet.
	VirtualMachineIPAddressLeaseNotFound Reason = "VirtualMachineIPAddressLeaseNotFound"
	// VirtualMachineIPAddressLeaseNotReady: the lease is not bound yet.
	VirtualMachineIPAddressLeaseNotReady Reason = "VirtualMachineIPAddressLeaseNotReady"
)

// Reasons of Attached.
const (
	// VirtualMachineNotFound: no machine uses the address.
	VirtualMachineNotFound Reason = "VirtualMachineNotFound"
	// Attached: a machine uses the address.
	Attached Reason = "Attached"
)

package vmmaclcondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineMACAddressLease.
const (
	// BoundType tells whether somebody holds the lease.
	BoundType Type = "Bound"
)

// Reasons of Bound.
const (
	// Bound: an address holds the lease.
	Bound Reason = "Bound"
)

package vmclasscondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineClass.
const (
	// ReadyType tells whether machines can use the class.
	ReadyType Type = "Ready"
	// DiscoveredType tells whether the CPU features of the nodes are known.
	DiscoveredType Type = "Discovered"
	// InUseType is present while machines use the class.
	InUseType Type = "InUse"
)

// Reasons of Ready.
const (
	// SuitableNodesFound: there are nodes for the class.
	SuitableNodesFound Reason = "SuitableNodesFound"
	// NoSuitableNodesFound: no node fits the class.
	NoSuitableNodesFound Reason = "NoSuitableNodesFound"
	// NoCpuFeaturesEnabled: the class has no CPU feature that its nodes share.
	NoCpuFeaturesEnabled Reason = "NoCpuFeaturesEnabled" //nolint:revive // spelled as on the wire, like all reasons
)

// Reasons of Discovered.
const (
	// DiscoverySucceeded: the features are known.
	DiscoverySucceeded Reason = "DiscoverySucceeded"
	// DiscoverySkip: the class's CPU type needs no discovery.
	DiscoverySkip Reason = "DiscoverySkip"
	// DiscoveryFailed: the features could not be found; the message says why.
	DiscoveryFailed Reason = "DiscoveryFailed"
)

// Reasons of InUse.
const (
	// VirtualMachineClassInUse: machines use the class.
	VirtualMachineClassInUse Reason = "VirtualMachineClassInUse"
)

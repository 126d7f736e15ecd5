package labels

// Labels of objects made for module kinds.
const (
	// VirtualMachineUID on an address is the UID of the machine it was made for.
	VirtualMachineUID = "virtualization.deckhouse.io/virtual-machine-uid"
	// VirtualMachineIPAddressUID on a lease is the UID of the address that holds it.
	VirtualMachineIPAddressUID = "virtualization.deckhouse.io/virtual-machine-ip-address-uid"
	// VirtualMachineMACAddressUID on a lease is the UID of the address that holds it.
	VirtualMachineMACAddressUID = "virtualization.deckhouse.io/virtual-machine-mac-address-uid"
	// ManagedBy names the program that made the object.
	ManagedBy = "app.kubernetes.io/managed-by"
	// Component names the part that the object plays.
	Component = "app.kubernetes.io/component"
	// App names the program that the object belongs to.
	App = "app"
	// NodeCPUFeaturePrefix goes before the name of a CPU feature in the labels of nodes that have it.
	NodeCPUFeaturePrefix = "cpu-feature.node.virtualization.deckhouse.io/"
)

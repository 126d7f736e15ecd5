package v1alpha2

// Kinds of this package.
const (
	ClusterVirtualImageKind                 = "ClusterVirtualImage"
	VirtualDiskKind                         = "VirtualDisk"
	VirtualDiskSnapshotKind                 = "VirtualDiskSnapshot"
	VirtualImageKind                        = "VirtualImage"
	VirtualMachineKind                      = "VirtualMachine"
	VirtualMachineBlockDeviceAttachmentKind = "VirtualMachineBlockDeviceAttachment"
	VirtualMachineClassKind                 = "VirtualMachineClass"
	VirtualMachineIPAddressKind             = "VirtualMachineIPAddress"
	VirtualMachineIPAddressLeaseKind        = "VirtualMachineIPAddressLease"
	VirtualMachineMACAddressKind            = "VirtualMachineMACAddress"
	VirtualMachineMACAddressLeaseKind       = "VirtualMachineMACAddressLease"
	VirtualMachineOperationKind             = "VirtualMachineOperation"
	VirtualMachineRestoreKind               = "VirtualMachineRestore"
	VirtualMachineSnapshotKind              = "VirtualMachineSnapshot"
	VirtualMachineSnapshotOperationKind     = "VirtualMachineSnapshotOperation"
)

package finalizers

// Protection finalizers.
const (
	// ClusterVirtualImageProtection: the image is in use.
	ClusterVirtualImageProtection = "virtualization.deckhouse.io/cvi-protection"
	// VirtualImageProtection: the image is in use.
	VirtualImageProtection = "virtualization.deckhouse.io/vi-protection"
	// VirtualDiskProtection: the disk is in use.
	VirtualDiskProtection = "virtualization.deckhouse.io/vd-protection"
	// KubeVirtVirtualMachineProtection: the KubeVirt machine is in use.
	KubeVirtVirtualMachineProtection = "virtualization.deckhouse.io/kvvm-protection"
	// VirtualMachineIPAddressProtection: the address is in use.
	VirtualMachineIPAddressProtection = "virtualization.deckhouse.io/vmip-protection"
	// PodProtection: the pod is in use.
	PodProtection = "virtualization.deckhouse.io/pod-protection"
	// PersistentVolumeClaimProtection: the claim is in use.
	PersistentVolumeClaimProtection = "virtualization.deckhouse.io/pvc-protection"
	// VirtualDiskSnapshotProtection: the snapshot is in use.
	VirtualDiskSnapshotProtection = "virtualization.deckhouse.io/vdsnapshot-protection"
	// VirtualMachineSnapshotProtection: the snapshot is in use.
	VirtualMachineSnapshotProtection = "virtualization.deckhouse.io/vmsnapshot-protection"
	// OperationProtectionByEvacuation: the evacuation of a node needs the operation.
	OperationProtectionByEvacuation = "virtualization.deckhouse.io/vmop-protection-by-evacuation-controller"
	// OperationProtectionByMachine: the machine needs the operation.
	OperationProtectionByMachine = "virtualization.deckhouse.io/vmop-protection-by-vm-controller"
)

// Cleanup finalizers.
const (
	// ClusterVirtualImageCleanup: the image's controller has work left.
	ClusterVirtualImageCleanup = "virtualization.deckhouse.io/cvi-cleanup"
	// VirtualDiskCleanup: the disk's controller has work left.
	VirtualDiskCleanup = "virtualization.deckhouse.io/vd-cleanup"
	// VirtualImageCleanup: the image's controller has work left.
	VirtualImageCleanup = "virtualization.deckhouse.io/vi-cleanup"
	// VirtualMachineCleanup: the machine's controller has work left.
	VirtualMachineCleanup = "virtualization.deckhouse.io/vm-cleanup"
	// VirtualMachineIPAddressCleanup: the address's controller has work left.
	VirtualMachineIPAddressCleanup = "virtualization.deckhouse.io/vmip-cleanup"
	// VirtualMachineIPAddressLeaseCleanup: the lease's controller has work left.
	VirtualMachineIPAddressLeaseCleanup = "virtualization.deckhouse.io/vmipl-cleanup"
	// VirtualDiskSnapshotCleanup: the snapshot's controller has work left.
	VirtualDiskSnapshotCleanup = "virtualization.deckhouse.io/vdsnapshot-cleanup"
	// VirtualMachineOperationCleanup: the operation's controller has work left.
	VirtualMachineOperationCleanup = "virtualization.deckhouse.io/vmop-cleanup"
	// VirtualMachineSnapshotOperationCleanup: the operation's controller has work left.
	VirtualMachineSnapshotOperationCleanup = "virtualization.deckhouse.io/vmsop-cleanup"
	// VirtualMachineClassCleanup: the class's controller has work left.
	VirtualMachineClassCleanup = "virtualization.deckhouse.io/vmclass-cleanup"
	// VirtualMachineBlockDeviceAttachmentCleanup: the attachment's controller has work left.
	VirtualMachineBlockDeviceAttachmentCleanup = "virtualization.deckhouse.io/vmbda-cleanup"
	// VirtualMachineMACAddressCleanup: the address's controller has work left.
	VirtualMachineMACAddressCleanup = "virtualization.deckhouse.io/vmmac-cleanup"
	// VirtualMachineMACAddressLeaseCleanup: the lease's controller has work left.
	VirtualMachineMACAddressLeaseCleanup = "virtualization.deckhouse.io/vmmacl-cleanup"
)

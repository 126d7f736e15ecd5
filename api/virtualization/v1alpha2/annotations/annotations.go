package annotations

// Annotations that users set.
const (
	// DefaultClass marks, with the value "true", the VirtualMachineClass of machines that name none.
	DefaultClass = "virtualmachineclass.virtualization.deckhouse.io/is-default-class"
	// DefaultStorageClass marks, with the value "true", the StorageClass of volumes that name none.
	DefaultStorageClass = "storageclass.kubernetes.io/is-default-class"
	// VirtualDiskVolumeMode on a StorageClass overrides the volume mode of disks.
	VirtualDiskVolumeMode = "virtualdisk.virtualization.deckhouse.io/volume-mode"
	// VirtualDiskAccessMode on a StorageClass overrides the access mode of disks.
	VirtualDiskAccessMode = "virtualdisk.virtualization.deckhouse.io/access-mode"
	// VirtualDiskBindingMode on a StorageClass overrides the binding mode of disks.
	VirtualDiskBindingMode = "virtualdisk.virtualization.deckhouse.io/binding-mode"
)

// Annotations on a VirtualMachine or its KubeVirt counterpart, set by the machine reconciler.
const (
	// LastAppliedSpec is the spec of the VirtualMachine that the running machine has, as JSON.
	LastAppliedSpec = "virt.deckhouse.io/vm.last-applied-spec"
	// ClassLastAppliedSpec is the spec of the VirtualMachineClass that the running machine has, as JSON.
	ClassLastAppliedSpec = "virt.deckhouse.io/vmclass.last-applied-spec"
	// LastPropagatedAnnotations are the user's annotations that the running machine has, as JSON.
	LastPropagatedAnnotations = "virt.deckhouse.io/last-propagated-vm-annotations"
	// LastPropagatedLabels are the user's labels that the running machine has, as JSON.
	LastPropagatedLabels = "virt.deckhouse.io/last-propagated-vm-labels"
	// StartRequested asks the machine reconciler to start the machine.
	StartRequested = "virtualization.deckhouse.io/vm-start-requested"
	// RestartRequested asks the machine reconciler to restart the machine.
	RestartRequested = "virtualization.deckhouse.io/vm-restart-requested"
	// OSType is the machine's osType.
	OSType = "virtualization.deckhouse.io/os-type"
	// FilesystemRequest is a pending freeze or thaw of the guest's file systems.
	FilesystemRequest = "virtualization.deckhouse.io/virtual-machine-filesystem-request"
	// QEMUVersion runs the machine.
	QEMUVersion = "versions.virtualization.deckhouse.io/qemu-version"
	// LibvirtVersion runs the machine.
	LibvirtVersion = "versions.virtualization.deckhouse.io/libvirt-version"
	// NetworksSpec are the additional networks that the machine's pod asks for.
	NetworksSpec = "network.deckhouse.io/networks-spec"
	// NetworksStatus are the additional networks that the machine's pod has.
	NetworksStatus = "network.deckhouse.io/networks-status"
)

// Annotations on a VirtualMachineOperation that a controller made.
const (
	// WorkloadUpdate marks a move to a current engine.
	WorkloadUpdate = "virtualization.deckhouse.io/workload-update"
	// WorkloadUpdateImage is the engine's image that the move is for.
	WorkloadUpdateImage = "virtualization.deckhouse.io/workload-update-image"
	// WorkloadUpdateNodePlacementSum is the sum of the placement that the move is for.
	WorkloadUpdateNodePlacementSum = "virtualization.deckhouse.io/workload-update-node-placement-sum"
	// WorkloadUpdateHotplugResourcesSum is the sum of the resources that the move is for.
	WorkloadUpdateHotplugResourcesSum = "virtualization.deckhouse.io/workload-update-hotplug-resources-sum"
	// Evacuation marks a move away from a node.
	Evacuation = "virtualization.deckhouse.io/evacuation"
	// VolumeMigration marks a move of disks to other volumes.
	VolumeMigration = "virtualization.deckhouse.io/volume-migration"
	// Restore marks objects that a restoring operation made.
	Restore = "virtualization.deckhouse.io/vmoprestore"
	// RestoreDeleted marks objects that a restoring operation deletes and makes again.
	RestoreDeleted = "virtualization.deckhouse.io/vmoprestoredeleted"
	// OperationUID is the UID of the operation that an object belongs to.
	OperationUID = "virtualization.deckhouse.io/vmop-uid"
	// OperationSnapshotName is the snapshot that an operation took.
	OperationSnapshotName = "virtualization.deckhouse.io/vmop-snapshot-name"
	// VirtualMachineRestore is the name of the VirtualMachineRestore that made an object.
	VirtualMachineRestore = "virtualization.deckhouse.io/vmrestore"
)

// Annotations on snapshots that keep what a restored disk gets back.
const (
	// VirtualDiskOriginalAnnotations are the disk's annotations, as JSON.
	VirtualDiskOriginalAnnotations = "virtualization.deckhouse.io/vd-original-annotations"
	// VirtualDiskOriginalLabels are the disk's labels, as JSON.
	VirtualDiskOriginalLabels = "virtualization.deckhouse.io/vd-original-labels"
	// VirtualDiskHadOwnerReference tells that the disk had an owner.
	VirtualDiskHadOwnerReference = "virtualization.deckhouse.io/vd-had-owner-reference"
	// StorageClassName is the storage class of the disk's volume.
	StorageClassName = "virtualization.deckhouse.io/storage-class-name"
	// VolumeMode is the mode of the disk's volume.
	VolumeMode = "virtualization.deckhouse.io/volume-mode"
	// AccessModes are the access modes of the disk's volume.
	AccessModes = "virtualization.deckhouse.io/access-mode"
)

// Annotations on pods, volumes and upload objects made for images and disks.
const (
	// CreatedBy names the controller that made the object.
	CreatedBy = "virt.deckhouse.io/storage.createdByController"
	// PodRetainAfterCompletion keeps a pod that has ended.
	PodRetainAfterCompletion = "virt.deckhouse.io/storage.pod.retainAfterCompletion"
	// ProvisionerTolerations are the tolerations of pods that provision a volume, as JSON.
	ProvisionerTolerations = "virt.deckhouse.io/provisioner-tolerations"
	// ProvisionerName is the name of the pod that provisions a volume.
	ProvisionerName = "virt.deckhouse.io/provisioner-name"
	// UploadURL accepts the upload from outside.
	UploadURL = "virtualization.deckhouse.io/upload.url"
	// UploadPath is the path that accepts the upload.
	UploadPath = "virtualization.deckhouse.io/upload.path"
	// DataExportRequest asks for an export of a volume.
	DataExportRequest = "storage.deckhouse.io/data-export-request"
	// StorageProvisioner is the CSI driver that Kubernetes chose for a claim.
	StorageProvisioner = "volume.kubernetes.io/storage-provisioner"
)

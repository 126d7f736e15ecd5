package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the module kinds.
const GroupName = "virtualization.deckhouse.io"

// Version is the version of this package's kinds.
const Version = "v1alpha2"

// SchemeGroupVersion is the group and version under which this package registers its kinds.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: Version}

// Resource qualifies a resource name of this group.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(resource).GroupResource()
}

// AddToScheme registers the module kinds and their lists with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&ClusterVirtualImage{}, &ClusterVirtualImageList{},
		&VirtualDisk{}, &VirtualDiskList{},
		&VirtualDiskSnapshot{}, &VirtualDiskSnapshotList{},
		&VirtualImage{}, &VirtualImageList{},
		&VirtualMachine{}, &VirtualMachineList{},
		&VirtualMachineBlockDeviceAttachment{}, &VirtualMachineBlockDeviceAttachmentList{},
		&VirtualMachineClass{}, &VirtualMachineClassList{},
		&VirtualMachineIPAddress{}, &VirtualMachineIPAddressList{},
		&VirtualMachineIPAddressLease{}, &VirtualMachineIPAddressLeaseList{},
		&VirtualMachineMACAddress{}, &VirtualMachineMACAddressList{},
		&VirtualMachineMACAddressLease{}, &VirtualMachineMACAddressLeaseList{},
		&VirtualMachineOperation{}, &VirtualMachineOperationList{},
		&VirtualMachineRestore{}, &VirtualMachineRestoreList{},
		&VirtualMachineSnapshot{}, &VirtualMachineSnapshotList{},
		&VirtualMachineSnapshotOperation{}, &VirtualMachineSnapshotOperationList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}

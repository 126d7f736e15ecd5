package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	virtualization = "virtualization.deckhouse.io"
	kubevirt       = "kubevirt.io"
	cdi            = "cdi.kubevirt.io"
	snapshots      = "snapshot.storage.k8s.io"
	rbac           = "rbac.authorization.k8s.io"
	extensions     = "apiextensions.k8s.io"
)

// dataKinds hold data, an identity that people rely on, or objects that do:
// deleting a namespace deletes the disks in it, and deleting a definition
// deletes every object of its kind.
var dataKinds = map[schema.GroupKind]bool{
	{Group: virtualization, Kind: "VirtualDisk"}:                   true,
	{Group: virtualization, Kind: "VirtualImage"}:                  true,
	{Group: virtualization, Kind: "ClusterVirtualImage"}:           true,
	{Group: virtualization, Kind: "VirtualDiskSnapshot"}:           true,
	{Group: virtualization, Kind: "VirtualMachineSnapshot"}:        true,
	{Group: virtualization, Kind: "VirtualMachineIPAddress"}:       true,
	{Group: virtualization, Kind: "VirtualMachineIPAddressLease"}:  true,
	{Group: virtualization, Kind: "VirtualMachineMACAddress"}:      true,
	{Group: virtualization, Kind: "VirtualMachineMACAddressLease"}: true,
	{Group: cdi, Kind: "DataVolume"}:                               true,
	{Group: cdi, Kind: "DataSource"}:                               true,
	{Group: snapshots, Kind: "VolumeSnapshot"}:                     true,
	{Group: snapshots, Kind: "VolumeSnapshotContent"}:              true,
	{Kind: "PersistentVolumeClaim"}:                                true,
	{Kind: "PersistentVolume"}:                                     true,
	{Kind: "Namespace"}:                                            true,
	{Group: extensions, Kind: "CustomResourceDefinition"}:          true,
}

// HoldsData tells whether deleting the object loses data or an identity.
func HoldsData(u *unstructured.Unstructured) bool {
	gk := u.GroupVersionKind().GroupKind()
	if dataKinds[gk] {
		return true
	}
	return gk == schema.GroupKind{Group: kubevirt, Kind: "VirtualMachine"} && ownsVolumes(u)
}

// ownsVolumes tells whether a KubeVirt machine takes its volumes along when it goes.
func ownsVolumes(u *unstructured.Unstructured) bool {
	templates, _, _ := unstructured.NestedSlice(u.Object, "spec", "dataVolumeTemplates")
	return len(templates) > 0
}

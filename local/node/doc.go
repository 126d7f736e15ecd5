// Package node stands in for KubeVirt, CDI and a CSI driver on one machine.
//
// In: kubevirt.io VirtualMachines and VirtualMachineInstances, cdi.kubevirt.io DataVolumes and PersistentVolumeClaims of
// the StorageClass "local" in an API server, disk images in DVCR. Out: qcow2 files, QEMU processes, and the objects'
// status in the words of the projects that it stands in for. What it does not implement it refuses in a condition. It
// never looks at Slipway's own kinds, and never removes data that an object still claims.
//
// The packages below each do one thing: claim and datavolume (storage), machine and instance (power), domain (translation
// to qemu), volume, seed, guest, accel, placement, qmp, job. docs/local-node.md tells how to look inside.
package node

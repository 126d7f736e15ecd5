// Package snapshot does for VolumeSnapshots what the snapshot controller and a CSI driver's sidecar do on a cluster.
//
// In: VolumeSnapshots of claims on this node's storage. Out: copies of disks in package volume, VolumeSnapshotContents,
// and snapshots that say when they were cut and that they are ready. The disk of a running guest is copied by its own
// QEMU from one moment on; the guest goes on writing meanwhile. What was cut and told, and then lost, is never taken
// anew under the same name: it fails. A claim stays while its disk is copied, a snapshot while a claim is filled from it.
package snapshot

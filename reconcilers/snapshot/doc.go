// Package snapshot reconciles VirtualDiskSnapshot: the content of a disk at one
// moment, from which disks and images are made.
//
// In come the snapshot's spec, its disk, what is made from it, the KubeVirt
// instance that has the disk open and the VolumeSnapshot. Out go one
// VolumeSnapshot of the snapshot's name, file systems of a guest that are frozen
// until the content is fixed and never longer, and the snapshot's status. A
// snapshot whose consistency is required is only taken of a disk at rest or of a
// guest that freezes its file systems; one of which that cannot be said
// afterwards is taken anew.
//
// A guest is frozen by one snapshot at a time, which its instance's annotation
// names. The content of a snapshot that is ready goes with the snapshot alone;
// what has vanished is reported as lost, never replaced.
package snapshot

// Package disk reconciles VirtualDisk: it makes the volume that a disk names,
// fills it, lets it grow, and never lets its data go while the disk exists.
//
// In come the disk's spec, its storage class, the image or import that it is
// made from, the machines that name it and the state of its DataVolume and
// claim. Out go one DataVolume and claim "d8v-vd-<name>-<uid>", for content from
// outside an artifact "vd/<namespace>/<name>:<uid>" in DVCR, and the disk's
// status, in which machines also read who of them may use the disk.
//
// A volume that was filled once is only ever deleted together with its disk: the
// package never fills it anew, never shrinks it and never moves it. What it
// cannot do it refuses in the conditions.
package disk

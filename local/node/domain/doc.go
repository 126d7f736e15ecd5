// Package domain translates a KubeVirt instance into the description of a QEMU guest.
//
// In: a VirtualMachineInstance, the files of its volumes, its address. Out: a qemu.Spec; or the list of the fields that
// this engine does not implement, since none is ever ignored in silence. It is pure: no client, no file, no clock.
package domain

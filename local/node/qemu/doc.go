// Package qemu turns the description of a guest into QEMU's command line, runs QEMU as a process of its own session,
// and reads from QEMU's event log how the guest ended.
//
// In: a Spec. Out: arguments, a Process that outlives its starter, an Exit. It knows no Kubernetes object and keeps no
// state but the files that the Spec names.
package qemu

// Package machine does for VirtualMachines what KubeVirt's virt-controller does: it creates and deletes the one instance
// of each, as run strategy and state change requests say, and tells the machine's status from it.
//
// In: kubevirt.io VirtualMachines and their instances. Out: VirtualMachineInstances and the machines' status. It starts
// no process (package instance does) and changes no template. What to do is decided by a pure function.
package machine

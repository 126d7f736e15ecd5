// Package machine reconciles VirtualMachine.
//
// In come a machine, its class, disks, images, address and first-boot data; out
// go one KubeVirt VirtualMachine of the same name, requests to start and stop
// it, and the machine's status: phase, conditions and the changes that wait for
// a restart. Each step may run any number of times: whoever is killed in between
// finds on the KubeVirt object what was decided.
//
// The package runs no guest and moves no data. What a change costs is in package
// change, when a machine is switched on and off in package power, and how the
// KubeVirt object looks in package kubevirt.
package machine

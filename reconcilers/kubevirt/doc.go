// Package kubevirt turns a virtual machine into the stock KubeVirt object that
// runs it.
//
// In come a VirtualMachine, its VirtualMachineClass, its resolved disks and
// images and its address; out goes one kubevirt.io/v1 VirtualMachine, the same
// for the same input. What a spec may say and this version cannot do comes back
// as a FieldError that names the field and the remedy; nothing is left out
// silently.
//
// The package has no client and no clock, decides nothing about power, and
// knows neither Git nor the registry's credentials.
package kubevirt

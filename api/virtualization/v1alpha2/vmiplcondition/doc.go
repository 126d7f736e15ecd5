// Package vmiplcondition names the conditions of VirtualMachineIPAddressLease and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmiplcondition

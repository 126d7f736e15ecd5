// Package vmcondition names the conditions of VirtualMachine and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmcondition

// Package vmrestorecondition names the conditions of VirtualMachineRestore and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmrestorecondition

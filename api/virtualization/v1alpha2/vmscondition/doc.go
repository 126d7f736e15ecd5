// Package vmscondition names the conditions of VirtualMachineSnapshot and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmscondition

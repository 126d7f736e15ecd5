// Package vmipcondition names the conditions of VirtualMachineIPAddress and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmipcondition

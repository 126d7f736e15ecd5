// Package vmopcondition names the conditions of VirtualMachineOperation and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmopcondition

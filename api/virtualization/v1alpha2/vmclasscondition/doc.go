// Package vmclasscondition names the conditions of VirtualMachineClass and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmclasscondition

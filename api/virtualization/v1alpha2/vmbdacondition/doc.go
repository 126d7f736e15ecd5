// Package vmbdacondition names the conditions of VirtualMachineBlockDeviceAttachment and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmbdacondition

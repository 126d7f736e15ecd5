// Package vdcondition names the conditions of VirtualDisk and their reasons. It holds constants only: what they mean, never how
// they come about.
package vdcondition

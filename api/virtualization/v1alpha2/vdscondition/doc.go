// Package vdscondition names the conditions of VirtualDiskSnapshot and their reasons. It holds constants only: what they mean, never how
// they come about.
package vdscondition

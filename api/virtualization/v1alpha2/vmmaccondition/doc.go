// Package vmmaccondition names the conditions of VirtualMachineMACAddress and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmmaccondition

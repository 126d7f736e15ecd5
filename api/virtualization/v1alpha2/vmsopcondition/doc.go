// Package vmsopcondition names the conditions of VirtualMachineSnapshotOperation and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmsopcondition

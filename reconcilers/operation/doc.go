// Package operation reconciles VirtualMachineOperation: one act on one machine,
// once.
//
// In come an operation, its machine and the machine's KubeVirt objects; out goes
// a request that the machine reconciler or KubeVirt carries out, and the
// operation's status until the act is done or cannot be done. What was accepted
// is written on the operation before anything is asked, so that a restarted
// controller neither asks twice nor refuses its own work.
//
// The package never changes a machine's spec. Restore and Clone fail with
// a message that says so.
package operation

// Package compare holds what the engine on one machine, local/node, writes into KubeVirt's status fields against what
// stock KubeVirt wrote for the same machine.
//
// In come recordings of a machine, its instance and its claim, made on this engine with stock KubeVirt v1.7.0; the
// instance ran the demo's guest, with its agent. Out goes a verdict: each field is the same, or stands in a table with the
// reason why it is not. Times are left out, and lists are compared by the names of their entries.
package compare

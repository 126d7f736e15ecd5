// Package v1alpha2 holds the module kinds of the API group virtualization.deckhouse.io: virtual machines, their disks,
// images, classes, addresses, operations and snapshots, wire-compatible with Deckhouse Virtualization Platform v1.8.
//
// In: objects as users and GitOps tools write them. Out: Go types with generated deep copies, from which the
// CustomResourceDefinitions in config/crd are generated. Condition types and reasons live in the sub-packages named
// after the kinds (vmcondition, vdcondition, …), metadata keys in annotations, labels and finalizers.
//
// The package never talks to a cluster and knows nothing of the engine that runs the machines.
//
// +kubebuilder:object:generate=true
// +groupName=virtualization.deckhouse.io
package v1alpha2

// Package v1alpha3 holds the newer version of VirtualMachineClass, in which core fractions are percentages such as "50%".
// The API server stores v1alpha2; ToV1alpha2 and FromV1alpha2 translate without loss.
//
// In: objects as users write them. Out: Go types with generated deep copies, and the two translations. The package never
// talks to a cluster.
//
// +kubebuilder:object:generate=true
// +groupName=virtualization.deckhouse.io
package v1alpha3

// Package v1alpha1 holds the GitOps kinds of Slipway: GitRepository and
// OCIRepository, which say where manifests come from, and Environment, which
// says where the virtual machines of one source path run.
//
// In comes what a user wrote; out goes what the controllers observed, in the
// status. Field names follow Flux where Flux has the concept. The package holds
// types, constants and nothing that acts: it never talks to a cluster.
//
// +kubebuilder:object:generate=true
// +groupName=gitops.slipway.dev
package v1alpha1

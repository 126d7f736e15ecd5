// Package crd carries the CustomResourceDefinitions of KubeVirt and CDI that the one-machine engine plays, for the
// embedded API server. They are generated from the pinned API modules, without descriptions, so that the schema is
// exactly that of the Go types the engine reads and writes.
//
// In: nothing. Out: YAML files. The package never installs them, and no cluster with KubeVirt of its own needs them.
//
// Two things differ from the originals on purpose: KubeVirt's short names vm and vms and the category all are left out,
// because on one machine they belong to the module kinds; and each kind has the status subresource.
package crd

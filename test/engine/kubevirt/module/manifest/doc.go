// Package manifest writes down what KubeVirt's operator would install, made by KubeVirt's own generators, so that the
// engine needs no operator and no registry.
//
// In comes a [Plan]: images, a namespace, certificates' lifetime, and whether the control plane runs in pods or as
// processes of the host. Out goes a directory with one List file for each stage, in the order in which they are to be
// applied, and the certificates as files. The package talks to no cluster, and changes nothing about the objects but
// what its [Shape] says.
package manifest

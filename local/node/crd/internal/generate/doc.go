// Command generate writes the definitions of package crd. It runs controller-gen on the API modules of KubeVirt and CDI,
// picks the kinds that the engine plays, and adds what KubeVirt's modules have no markers for: short names, printer
// columns and the status subresource. It runs in the folder of package crd and writes there.
package main

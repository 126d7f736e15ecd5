// Package image reconciles VirtualImage and ClusterVirtualImage: it brings the
// content that they name into DVCR and tells what became of it.
//
// In come the image's spec, the machines and disks that use it and the state of
// its import; out go an artifact in DVCR under "vi/<namespace>/<name>:<uid>" or
// "cvi/<name>:<uid>" and the image's status. One engine serves both kinds; what
// differs between them stands in kinds.go.
//
// The package never reads an image's bytes, never imports an image anew once it
// was ready, and refuses the sources and storages it does not know in the
// conditions instead of passing over them.
package image

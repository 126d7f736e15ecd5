// Package image makes the engine's container images, as archives in a cache.
//
// In come recipes: Debian packages, programs that were built, a few files and how to run them. Out go paths of OCI
// archives, named by all that they were made of; what is there is not made again. Debian's packages come by mmdebstrap,
// which needs root. The package knows no cluster and loads nothing anywhere.
package image

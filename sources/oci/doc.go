// Package oci brings bundles of manifests from and to OCI registries.
//
// In come a repository's URL, a reference and credentials; out come the digest that the reference means and, when it is
// asked for, the files of one layer as a read-only tree. It reads what `flux push artifact` and `oras push` write, and
// writes the same.
//
// Each byte is checked against its digest before anything is unpacked. Sizes are bounded before and while reading.
// Connections go only where the egress policy allows, redirects and token servers included, and credentials only to the
// registry they are for. It never runs anything, never follows a link of an archive and never puts a credential into an
// error.
package oci

// Package render goes the one way from a source tree to objects that may be planned.
//
// In come an fs.FS, the digest that names it, the overrides of an Environment, keys and variables; out come objects:
// decrypted, built by kustomize, with their variables substituted, and checked against their schemas. The stages are the
// packages below this one. Everybody who renders comes through here, so that a build on a laptop, a plan and the
// controller see the same.
//
// It reads nothing but the tree, asks no cluster, and writes nothing. The same input is rendered once, however many ask
// for it at the same time.
package render

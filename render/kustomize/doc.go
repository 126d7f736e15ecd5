// Package kustomize turns a source tree into Kubernetes objects.
//
// In come an fs.FS, the digest that names it, and the overrides of an Environment; out come the objects that kustomize
// builds from them, each knowing the file and line it came from. A directory without a kustomization is rendered as if
// it had one that lists all its manifests. The kinds of virtualization.deckhouse.io need no configuration: their name
// references, namespaces and image fields are known.
//
// It never reads outside the tree, follows a link, reaches the network, runs a plugin or a chart, or writes a file.
// The same input gives the same objects, and is rendered once.
package kustomize

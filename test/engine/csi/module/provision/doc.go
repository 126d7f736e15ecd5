// Package provision makes volumes for claims of the engine's CSI driver, and deletes those that nobody claims.
//
// In come claims, classes, volumes and snapshots of an API server; out go calls to a CSI controller and PersistentVolumes.
// The stock provisioner cannot be had. This one knows what the engine's tests need: immediate binding and binding at the
// first consumer, both volume modes, clones and snapshots as sources. It never touches claims of other drivers or such as
// somebody else populates.
package provision

// Package gc frees what no object needs any more in DVCR, while imports and restores run.
//
// What comes in: the store of a registry, and the references that live objects hold.
//
// What goes out: tags, manifests, links and blobs that nothing needs, removed; packs of which little is needed, rewritten; and
// a report of both.
//
// Nothing that a live reference leads to is ever removed, and neither is what was uploaded, asked for or named by a manifest
// within the grace period. Whether somebody did so is asked once more at the moment of removal, under the lock that each
// request takes first: a request that comes before keeps the thing, one that comes after learns that it is gone, and uploads
// it. There is no time at which imports have to wait.
//
// What it never does: look outside the repositories of objects (cvi, vi, vd) for tags to remove, run without a list of live
// references, or speak to Kubernetes.
package gc

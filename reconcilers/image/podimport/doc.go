// Package podimport runs imports in pods of a cluster, one for each image.
//
// In comes an importer.Job; out go a pod that runs "slipway-dvcr import" and a Secret with its order, and the State that the
// pod's phase, its metrics and its termination message tell. A Runner is what importer.Runner is in one process: the Desk
// does not know which of the two it has. Uploads and copies inside of DVCR move no data through a pod: they are handed to a
// runner in this process.
//
// A pod belongs to what it depends on in its namespace, the claim that it reads or the template that it is made after, so that a
// drain may evict it; one that is gone before it has ended is made anew.
//
// The package keeps nothing: pods are found again by their label, a finished one by its message. Pods hold no rights in the
// cluster, and only their own order.
package podimport

// Package csi gives the engine volumes with snapshots, clones and expansion: which commands to build, and the objects to
// apply.
//
// In comes nothing but the names of classes; out go a module to build and the objects. The stock snapshot controller,
// snapshotter and resizer are used; the host path driver and the stock provisioner cannot be had, so a driver and a
// provisioner of our own stand in the module beside this package.
package csi

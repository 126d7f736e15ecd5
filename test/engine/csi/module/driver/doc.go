// Package driver is a CSI driver for the engine's tests: volumes, clones, snapshots and expansion of files below one
// directory that all nodes of the machine share.
//
// In come the calls of kubelet and the sidecars over a socket; out go directories that are bound into pods, and for block
// volumes loop devices over sparse files. Copies share blocks where the file system can. A directory has no limit of its
// own, and a copy of one that is written to meanwhile is as consistent as its writer keeps it: that is what freezing a
// guest is for. The package never forgets a volume that it has answered for, and never speaks to Kubernetes.
package driver

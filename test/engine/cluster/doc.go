// Package cluster brings the engine up and takes it down: a control plane and nodes in namespaces, seen from the host.
//
// In come a data directory, binaries and image archives; out go running nodes, a kubeconfig that works on the host, and
// a socket that leads inside. Everything that a run makes is in the data directory or in namespaces and control groups
// that bear its name; taking it down looks for what is there, not for what a file says was made, so that it also clears
// what a crash left. The package never changes a link, a mount, a packet filter or a service of the host.
package cluster

// Package node is one node of the engine: namespaces, a root file system, and the processes in them.
//
// In comes a [Spec]; what goes out is a process that is the first of its own pid namespace and runs the node's services
// until it is killed, and everything ends with it: processes, mounts, links, packet filters. The first process prepares
// the root ([Prepare]) and then becomes the one that runs ([Run]). The host's /usr is seen read-only; all else that
// the node sees or writes is below its own directory. The package never changes a mount, a link or a kernel setting
// outside its namespaces.
package node

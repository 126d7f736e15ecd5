// Package class reconciles VirtualMachineClass.
//
// In come a class, the nodes and the machines that name the class; out goes its
// status: which nodes can run its machines, which CPU features guests get,
// whether it is in use. A class in use is not let go. The package also creates
// the class "generic" once in the life of a cluster.
//
// It never touches machines or nodes, and never schedules anything.
package class

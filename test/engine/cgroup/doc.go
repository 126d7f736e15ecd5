// Package cgroup keeps the engine's processes in control groups of their own.
//
// In comes the list of mounts of this process, out come the hierarchies that are there, of version 1, 2 or both, and in
// each one group with a common name. Whatever runs in the group or below is the engine's: that is how a crashed run's
// processes are found. The package never touches a group that does not bear the name.
package cgroup

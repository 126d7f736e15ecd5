// Package power decides when a virtual machine is started, stopped and
// restarted.
//
// In come the run policy, the state of the instance and the requests that were
// made; out goes one action. The table in power.go is the whole of it; nothing
// else decides about power. The package is pure.
package power

// Package install puts components on a cluster that is up, and waits until they work.
//
// In come a client configuration and the programs that generate a component's objects; out goes a cluster on which the
// component's own health says that it is there. The package builds nothing and removes nothing.
package install

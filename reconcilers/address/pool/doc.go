// Package pool picks IP addresses from ranges and names the leases after them.
//
// In come ranges and the addresses already leased; out goes a free address or
// an error. The package is pure.
package pool

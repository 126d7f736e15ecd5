// Package address reconciles VirtualMachineIPAddress and its lease.
//
// In come addresses that machines ask for, the leases of the whole cluster and
// the ranges to take addresses from; out goes exactly one lease for each
// address, and the address's status. A lease is named after its IP address, so
// that the API server itself makes sure no address is given twice. After an
// address is deleted its lease is kept for a while, so that the same owner gets
// the same IP address again.
//
// The package configures no network.
package address

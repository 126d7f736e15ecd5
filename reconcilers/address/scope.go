package address

import (
	"time"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// scope is what one run observed about an address.
type scope struct {
	address *v1alpha2.VirtualMachineIPAddress
	now     time.Time

	// machine is the name of the machine that uses the address, empty for none
	// (step machine).
	machine string
	// ip is the leased address, empty for none (step lease).
	ip string
}

// leaseScope is what one run observed about a lease.
type leaseScope struct {
	lease *v1alpha2.VirtualMachineIPAddressLease
	now   time.Time

	// held tells whether the address that the lease names still exists and wants
	// it (step holder).
	held bool
}

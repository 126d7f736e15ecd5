package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrExhausted says that every address of every range is leased.
var ErrExhausted = errors.New("all addresses of the ranges are leased")

const leasePrefix = "ip-"

// Pool is an ordered list of ranges.
type Pool struct {
	ranges []netip.Prefix
}

// New reads ranges in CIDR notation, such as 10.66.10.0/24. Only IPv4 is
// accepted.
func New(cidrs []string) (*Pool, error) {
	p := &Pool{}
	for _, text := range cidrs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("read address range %q: %w", text, err)
		}
		if !prefix.Addr().Is4() {
			return nil, fmt.Errorf("read address range %q: only IPv4 ranges are supported", text)
		}
		p.ranges = append(p.ranges, prefix.Masked())
	}
	return p, nil
}

// Contains tells whether an address can be given to a machine: it lies in a
// range and is neither its network nor its broadcast address.
func (p *Pool) Contains(address netip.Addr) bool {
	for _, r := range p.ranges {
		if r.Contains(address) && usable(r, address) {
			return true
		}
	}
	return false
}

// String lists the ranges.
func (p *Pool) String() string {
	var all []string
	for _, r := range p.ranges {
		all = append(all, r.String())
	}
	return strings.Join(all, ", ")
}

// Next is the first address that is not taken, in the order of the ranges.
func (p *Pool) Next(taken func(netip.Addr) bool) (netip.Addr, error) {
	for _, r := range p.ranges {
		for address := r.Addr(); r.Contains(address); address = address.Next() {
			if usable(r, address) && !taken(address) {
				return address, nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("%w (%s)", ErrExhausted, p)
}

// usable leaves out the network and broadcast addresses; ranges of one or two
// addresses have none.
func usable(r netip.Prefix, address netip.Addr) bool {
	if r.Bits() >= r.Addr().BitLen()-1 {
		return true
	}
	return address != r.Addr() && r.Contains(address.Next())
}

// LeaseName is the name of an address's lease: ip-10-66-10-5.
func LeaseName(address netip.Addr) string {
	return leasePrefix + strings.ReplaceAll(address.String(), ".", "-")
}

// LeaseAddress is the address of a lease's name.
func LeaseAddress(name string) (netip.Addr, error) {
	text, ok := strings.CutPrefix(name, leasePrefix)
	if !ok {
		return netip.Addr{}, fmt.Errorf("read lease name %q: it does not start with %s", name, leasePrefix)
	}
	address, err := netip.ParseAddr(strings.ReplaceAll(text, "-", "."))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read lease name %q: %w", name, err)
	}
	return address, nil
}

package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ErrForbidden says that an address is one which a tenant's URL may not lead to.
var ErrForbidden = errors.New("forbidden address")

// metadataAddresses answer with credentials of the machine on some clouds, outside of the link-local range.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("fd00:ec2::254"),
}

// Loopback are the ranges that only lead back to the same machine.
var Loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Policy says which addresses may be connected to. The zero value allows everything but loopback, link-local, multicast,
// unspecified and metadata addresses.
type Policy struct {
	// Allow lists ranges that are allowed in spite of that.
	Allow []netip.Prefix
}

// Parse makes a policy from ranges in CIDR notation or single addresses. The error names the entry that is neither.
func Parse(ranges []string) (Policy, error) {
	var out Policy
	for _, text := range ranges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, errAddr := netip.ParseAddr(text)
			if errAddr != nil {
				return Policy{}, fmt.Errorf("allowed range %q is neither CIDR notation nor an address: %w", text, err)
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		out.Allow = append(out.Allow, prefix.Masked())
	}
	return out, nil
}

// Check returns an error that matches ErrForbidden when addr may not be connected to.
func (p Policy) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if !special(addr) || slices.ContainsFunc(p.Allow, func(r netip.Prefix) bool { return r.Contains(addr) }) {
		return nil
	}
	return fmt.Errorf("%w %s: it is %s, and no allowed range holds it", ErrForbidden, addr, kind(addr))
}

func special(a netip.Addr) bool {
	return !a.IsValid() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || slices.Contains(metadataAddresses, a)
}

func kind(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "a loopback address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsValid():
		return "a cloud's metadata service"
	}
	return "no address"
}

// Dialer connects only where the policy allows. Give up after timeout; zero means 15 s.
func (p Policy) Dialer(timeout time.Duration) *net.Dialer {
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	return &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second, Control: p.control}
}

// control is a dialer's last look at an address.
func (p Policy) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w %s: it has no port", ErrForbidden, address)
	}
	return p.Check(ap.Addr())
}

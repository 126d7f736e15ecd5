package network

import (
	"fmt"
	"net/netip"
)

// MostNodes is how many nodes a plan has room for. One machine has no use for more.
const MostNodes = 9

// The ranges of every engine. They exist only inside its namespaces, so that
// they cannot collide with anything outside.
var (
	nodes    = netip.MustParsePrefix("10.88.0.0/24")
	pods     = netip.MustParsePrefix("10.89.0.0/16")
	services = netip.MustParsePrefix("10.96.0.0/16")
)

const (
	// APIPort is where the API server listens on the first node.
	APIPort = 6443
	// Domain is what the names of services end with.
	Domain = "cluster.local"
	// uplink is the device that carries a node's address.
	uplink = "eth0"
)

// Plan is the addresses of a number of nodes.
type Plan struct {
	// Nodes in order; the first runs the control plane.
	Nodes []Node
	// Pods is the range of all pods.
	Pods netip.Prefix
	// Services is the range of service addresses.
	Services netip.Prefix
	// API is the service address of the API server.
	API netip.Addr
	// DNS is the service address of the cluster's name server.
	DNS netip.Addr
}

// Node is the addresses of one node.
type Node struct {
	// Name of the node.
	Name string
	// Address is the node's own.
	Address netip.Addr
	// Pods is the range of its pods.
	Pods netip.Prefix
	// Gateway is the node's address among its pods.
	Gateway netip.Addr
}

// New plans for a number of nodes.
func New(count int) (Plan, error) {
	if count < 1 || count > MostNodes {
		return Plan{}, fmt.Errorf("plan %d nodes: ask for 1 to %d", count, MostNodes)
	}
	plan := Plan{Pods: pods, Services: services, API: nth(services, 1), DNS: nth(services, 10)}
	for i := 1; i <= count; i++ {
		plan.Nodes = append(plan.Nodes, node(i))
	}
	return plan, nil
}

func node(i int) Node {
	base := pods.Addr().As4()
	base[2] = byte(i)
	own := netip.PrefixFrom(netip.AddrFrom4(base), 24)
	return Node{Name: fmt.Sprintf("node%d", i), Address: nth(nodes, i), Pods: own, Gateway: nth(own, 1)}
}

// nth is the address n after the first of a range; n stays within the last octet.
func nth(prefix netip.Prefix, n int) netip.Addr {
	address := prefix.Addr().As4()
	address[3] += byte(n)
	return netip.AddrFrom4(address)
}

// Server is the API server's URL for those inside.
func (p Plan) Server() string {
	return fmt.Sprintf("https://%s", netip.AddrPortFrom(p.Nodes[0].Address, APIPort))
}

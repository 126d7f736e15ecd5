package pool_test

import (
	"fmt"
	"net/netip"

	"slipway.dev/slipway/reconcilers/address/pool"
)

func ExamplePool_Next() {
	p, err := pool.New([]string{"10.66.10.0/24"})
	if err != nil {
		fmt.Println(err)
		return
	}
	address, err := p.Next(func(a netip.Addr) bool { return a == netip.MustParseAddr("10.66.10.1") })
	fmt.Println(pool.LeaseName(address), err)
	// Output: ip-10-66-10-2 <nil>
}

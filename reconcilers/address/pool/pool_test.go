package pool_test

import (
	"errors"
	"net/netip"
	"testing"

	"slipway.dev/slipway/reconcilers/address/pool"
)

func TestNext(t *testing.T) {
	tests := map[string]struct {
		ranges []string
		taken  []string
		want   string
	}{
		"skips the network address":   {ranges: []string{"10.66.10.0/24"}, want: "10.66.10.1"},
		"skips what is leased":        {ranges: []string{"10.66.10.0/24"}, taken: []string{"10.66.10.1", "10.66.10.2"}, want: "10.66.10.3"},
		"skips the broadcast address": {ranges: []string{"10.0.0.0/30"}, taken: []string{"10.0.0.1", "10.0.0.2"}},
		"goes on with the next range": {ranges: []string{"10.0.0.0/30", "10.1.0.0/30"}, taken: []string{"10.0.0.1", "10.0.0.2"}, want: "10.1.0.1"},
		"single addresses":            {ranges: []string{"10.0.0.7/32"}, want: "10.0.0.7"},
		"range written from within":   {ranges: []string{"10.66.10.77/24"}, want: "10.66.10.1"},
		"no ranges":                   {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := pool.New(test.ranges)
			if err != nil {
				t.Fatal(err)
			}
			taken := map[string]bool{}
			for _, a := range test.taken {
				taken[a] = true
			}
			got, err := p.Next(func(a netip.Addr) bool { return taken[a.String()] })
			if test.want == "" {
				if !errors.Is(err, pool.ErrExhausted) {
					t.Fatalf("got %v, %v, want ErrExhausted", got, err)
				}
				return
			}
			if err != nil || got.String() != test.want {
				t.Errorf("got %v, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestContains(t *testing.T) {
	p, err := pool.New([]string{"10.66.10.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"10.66.10.5": true, "10.66.11.5": false, "10.66.10.0": false, "10.66.10.255": false} {
		if got := p.Contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, text := range []string{"10.66.10.0", "fd00::/64", ""} {
		if _, err := pool.New([]string{text}); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestLeaseNames(t *testing.T) {
	address := netip.MustParseAddr("10.66.10.5")
	if got := pool.LeaseName(address); got != "ip-10-66-10-5" {
		t.Errorf("got %s", got)
	}
	if got, err := pool.LeaseAddress("ip-10-66-10-5"); err != nil || got != address {
		t.Errorf("got %v, %v", got, err)
	}
	for _, name := range []string{"10-66-10-5", "ip-10-66-10", "ip-10-66-10-500"} {
		if _, err := pool.LeaseAddress(name); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

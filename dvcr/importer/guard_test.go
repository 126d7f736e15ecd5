package importer

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	cases := map[string]struct{ always, onLoopback bool }{
		"93.184.216.34":          {always: true},
		"10.0.0.1":               {always: true},
		"192.168.1.1":            {always: true},
		"2001:db8::1":            {always: true},
		"fd12::1":                {always: true},
		"127.0.0.1":              {onLoopback: true},
		"127.1.2.3":              {onLoopback: true},
		"::1":                    {onLoopback: true},
		"::ffff:127.0.0.1":       {onLoopback: true},
		"0.0.0.0":                {},
		"::":                     {},
		"169.254.169.254":        {},
		"169.254.0.1":            {},
		"::ffff:169.254.169.254": {},
		"fe80::1":                {},
		"fe80::1%eth0":           {},
		"224.0.0.1":              {},
		"ff02::1":                {},
		"100.100.100.200":        {},
		"::ffff:100.100.100.200": {},
		"168.63.129.16":          {},
		"fd00:ec2::254":          {},
	}
	for text, want := range cases {
		addr := netip.MustParseAddr(text)
		for _, loopback := range []bool{false, true} {
			err := guard{allowLoopback: loopback}.check(addr)
			if allowed := want.always || want.onLoopback && loopback; allowed != (err == nil) {
				t.Errorf("%s with loopback allowed %t: %v", text, loopback, err)
			}
			if err != nil && !errors.Is(err, ErrForbiddenAddress) {
				t.Errorf("%s is refused with %v", text, err)
			}
		}
	}
}

func TestControlRefusesWhatIsNoAddress(t *testing.T) {
	if err := (guard{allowLoopback: true}).control("tcp", "nonsense", nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("control returned %v", err)
	}
}

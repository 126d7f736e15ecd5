package egress

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

func TestCheck(t *testing.T) {
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
		for name, policy := range map[string]Policy{"none": {}, "loopback": {Allow: Loopback}} {
			err := policy.Check(addr)
			if allowed := want.always || want.onLoopback && name == "loopback"; allowed != (err == nil) {
				t.Errorf("%s with %s allowed: %v", text, name, err)
			}
			if err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("%s is refused with %v", text, err)
			}
		}
	}
}

func TestControlRefusesWhatIsNoAddress(t *testing.T) {
	if err := (Policy{Allow: Loopback}).control("tcp", "nonsense", nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("control returned %v", err)
	}
}

func TestParse(t *testing.T) {
	policy, err := Parse([]string{"169.254.169.254", "127.0.0.1/8"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"169.254.169.254": true, "169.254.1.1": false, "127.9.9.9": true, "::1": false} {
		if got := policy.Check(netip.MustParseAddr(text)) == nil; got != want {
			t.Errorf("%s allowed %t, want %t", text, got, want)
		}
	}
	if _, err := Parse([]string{"everything"}); err == nil {
		t.Error("nonsense is taken for a range")
	}
}

// TestTransport: a destination is refused by its address, a redirect to one too, and a proxy that was configured is not.
func TestTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	via := func(*http.Request) (*url.URL, error) { return url.Parse(server.URL) }
	tests := map[string]struct {
		transport *http.Transport
		url       string
		refused   bool
	}{
		"loopback":           {transport: Policy{}.Transport(nil, nil), url: server.URL, refused: true},
		"loopback, allowed":  {transport: Policy{Allow: Loopback}.Transport(nil, nil), url: server.URL},
		"behind a proxy":     {transport: Policy{}.Transport(nil, via), url: "http://images.example/disk"},
		"beside an idle one": {transport: Policy{}.Transport(nil, func(*http.Request) (*url.URL, error) { return nil, nil }), url: server.URL, refused: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			res, err := (&http.Client{Transport: tc.transport}).Get(tc.url)
			if err == nil {
				defer res.Body.Close()
			}
			if got := errors.Is(err, ErrForbidden); got != tc.refused || (err == nil) == tc.refused {
				t.Errorf("got %v, want refused %t", err, tc.refused)
			}
			var wrong net.Error
			if tc.refused && errors.As(err, &wrong) && wrong.Timeout() {
				t.Error("a refusal looks like a timeout")
			}
		})
	}
}

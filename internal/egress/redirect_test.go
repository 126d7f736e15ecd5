package egress_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"slipway.dev/slipway/internal/egress"
)

func TestCheckRedirect(t *testing.T) {
	to := func(scheme string) *http.Request {
		return &http.Request{URL: &url.URL{Scheme: scheme, Host: "b.example"}}
	}
	for name, c := range map[string]struct {
		from, to string
		via      int
		refused  bool
	}{
		"HTTPS to HTTPS":  {from: "https", to: "https", via: 1},
		"HTTP to HTTPS":   {from: "http", to: "https", via: 1},
		"HTTP to HTTP":    {from: "http", to: "http", via: 1},
		"HTTPS to HTTP":   {from: "https", to: "http", via: 1, refused: true},
		"HTTP to another": {from: "http", to: "file", via: 1, refused: true},
		"the fifth":       {from: "https", to: "https", via: 5},
		"the sixth":       {from: "https", to: "https", via: 6, refused: true},
	} {
		via := make([]*http.Request, c.via)
		via[0] = to(c.from)
		if err := egress.CheckRedirect(to(c.to), via); errors.Is(err, egress.ErrRedirect) != c.refused {
			t.Errorf("%s: %v, refused is to be %t", name, err, c.refused)
		}
	}
}

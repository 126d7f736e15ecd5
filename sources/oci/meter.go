package oci

import (
	"io"
	"net/http"
)

// metered counts what passes when somebody wants to know.
func (c *Client) metered(t http.RoundTripper) http.RoundTripper {
	if c.meter == nil {
		return t
	}
	return meteredTransport{t, c.meter}
}

type meteredTransport struct {
	http.RoundTripper
	meter func(int)
}

// RoundTrip implements http.RoundTripper.
func (t meteredTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		copied := *req
		copied.Body = meteredBody{req.Body, t.meter}
		req = &copied
	}
	response, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // the client wraps it
	}
	response.Body = meteredBody{response.Body, t.meter}
	return response, nil
}

type meteredBody struct {
	io.ReadCloser
	meter func(int)
}

// Read implements io.Reader.
func (b meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.meter(n)
	return n, err //nolint:wrapcheck // a reader's error is its own
}

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Client reaches one registry. It keeps connections and authentication for all its repositories and is safe for
// concurrent use.
type Client struct {
	addr      string
	plainHTTP bool
	auth      *auth.Client
}

// Option changes how a client connects.
type Option func(*options)

type options struct {
	roots     *x509.CertPool
	transport http.RoundTripper
}

// WithRoots makes a client trust these authorities instead of the system's, and use HTTPS whatever the address.
func WithRoots(roots *x509.CertPool) Option {
	return func(o *options) { o.roots = roots }
}

// WithTransport makes a client send its requests through t. It takes the place of WithRoots.
func WithTransport(t http.RoundTripper) Option {
	return func(o *options) { o.transport = t }
}

// NewClient returns a client of the registry at addr (host:port): over plain HTTP when that is a loopback address, and over
// HTTPS everywhere else. Empty credentials mean anonymous access.
func NewClient(addr string, c Credentials, opts ...Option) *Client {
	var o options
	for _, set := range opts {
		set(&o)
	}
	if o.transport == nil {
		o.transport = newTransport(o.roots)
	}
	client := &auth.Client{
		Client: &http.Client{Transport: o.transport},
		Cache:  auth.NewCache(),
	}
	if c != (Credentials{}) {
		client.Credential = auth.StaticCredential(addr, auth.Credential{Username: c.Username, Password: c.Password})
	}
	return &Client{addr: addr, plainHTTP: isLoopback(addr) && o.roots == nil, auth: client}
}

// newTransport bounds the wait for a connection and for an answer, not the transfer of a blob, whose length is unknown.
func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   8,
		ForceAttemptHTTP2:     true,
		WriteBufferSize:       256 << 10,
		ReadBufferSize:        256 << 10,
	}
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Addr returns the registry's address.
func (c *Client) Addr() string { return c.addr }

// Repository returns the repository of that name, such as "vi/team/debian".
func (c *Client) Repository(name string) (*remote.Repository, error) {
	ref := registry.Reference{Registry: c.addr, Repository: name}
	if err := ref.Validate(); err != nil {
		return nil, fmt.Errorf("use repository %q of registry %s: %w", name, c.addr, err)
	}
	return &remote.Repository{Client: c.auth, Reference: ref, PlainHTTP: c.plainHTTP}, nil
}

// Repositories names the repositories of the registry, which only an administrator may ask for.
func (c *Client) Repositories(ctx context.Context) ([]string, error) {
	reg := &remote.Registry{RepositoryOptions: remote.RepositoryOptions{Client: c.auth, PlainHTTP: c.plainHTTP}}
	reg.Reference = registry.Reference{Registry: c.addr}
	var all []string
	err := reg.Repositories(ctx, "", func(names []string) error {
		all = append(all, names...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list repositories of %s: %w", c.addr, err)
	}
	return all, nil
}

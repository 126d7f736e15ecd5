package oci

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/scrub"
)

// connections is how many registries are remembered, with their tokens.
const connections = 256

// Client talks to registries. It remembers connections and tokens, and is safe for concurrent use.
type Client struct {
	egress egress.Policy
	temp   string
	meter  func(bytes int)

	mu    sync.Mutex
	known map[[sha256.Size]byte]*auth.Client
	order [][sha256.Size]byte
}

// Option changes how a client works.
type Option func(*Client)

// WithTempDir puts downloads into a directory of the caller's instead of the system's temporary one.
func WithTempDir(dir string) Option { return func(c *Client) { c.temp = dir } }

// WithMeter is told of the bytes of requests and answers as they pass, from many goroutines.
func WithMeter(meter func(bytes int)) Option { return func(c *Client) { c.meter = meter } }

// NewClient returns a client that connects only where the policy allows.
func NewClient(policy egress.Policy, options ...Option) *Client {
	c := &Client{egress: policy, known: map[[sha256.Size]byte]*auth.Client{}}
	for _, o := range options {
		o(c)
	}
	return c
}

// Repository is one repository, as one remote names it.
type Repository struct {
	remote Remote
	temp   string
	oras   *remote.Repository
}

// Repository checks a remote and returns its repository. It does not connect yet.
func (c *Client) Repository(r Remote) (*Repository, error) {
	const op = "use"
	ref, err := r.check(op)
	if err != nil {
		return nil, err
	}
	client, err := c.connection(r, ref)
	if err != nil {
		return nil, r.errorf(op, ErrRefused, "%s", err)
	}
	repository := &remote.Repository{Client: client, Reference: ref, PlainHTTP: r.Insecure, MaxMetadataBytes: maxManifest, TagListPageSize: 1000}
	return &Repository{remote: r, temp: c.temp, oras: repository}, nil
}

// connection finds the connection of a remote, or makes it.
func (c *Client) connection(r Remote, ref registry.Reference) (*auth.Client, error) {
	key, err := r.key(ref.Registry)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, found := c.known[key]; found {
		return client, nil
	}
	client, err := c.connect(r, ref)
	if err != nil {
		return nil, err
	}
	if len(c.order) == connections {
		c.known[c.order[0]].Client.CloseIdleConnections()
		delete(c.known, c.order[0])
		c.order = c.order[1:]
	}
	c.known[key], c.order = client, append(c.order, key)
	return client, nil
}

func (c *Client) connect(r Remote, ref registry.Reference) (*auth.Client, error) {
	transport, err := c.transport(r)
	if err != nil {
		return nil, err
	}
	client := &auth.Client{
		Client: &http.Client{Transport: c.metered(transport), CheckRedirect: egress.CheckRedirect},
		Cache:  auth.NewCache(),
		Header: http.Header{"User-Agent": {"slipway"}},
	}
	if login, found := find(r.Logins, ref.Registry, ref.Repository); found {
		client.Credential = auth.StaticCredential(ref.Registry, login.credential())
	}
	return client, nil
}

// transport applies the egress policy to each connection. A proxy of the environment is the operator's and passes; one of
// a tenant's Secret does not.
func (c *Client) transport(r Remote) (*http.Transport, error) {
	config, err := r.TLS.config()
	if err != nil {
		return nil, err
	}
	if r.Proxy.URL == "" {
		return bounded(c.egress.Transport(config, http.ProxyFromEnvironment)), nil
	}
	proxy, err := r.Proxy.parse()
	if err != nil {
		return nil, err
	}
	t := bounded(c.egress.Transport(config, nil))
	t.Proxy = http.ProxyURL(proxy)
	return t, nil
}

func bounded(t *http.Transport) *http.Transport {
	t.ResponseHeaderTimeout = time.Minute
	t.MaxResponseHeaderBytes = 256 << 10
	return t
}

// URL of the repository, without credentials.
func (r *Repository) URL() string { return scrub.URL(r.remote.URL) }

func (r *Repository) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.remote.timeout())
}

// Name of the repository: host/repository.
func (r *Repository) Name() string {
	return r.oras.Reference.Registry + "/" + r.oras.Reference.Repository
}

package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Proxy says through which proxy a request goes; nil means none. http.ProxyFromEnvironment is one.
type Proxy func(*http.Request) (*url.URL, error)

// Transport is an HTTP transport that connects only where the policy allows. Proxies pass it: whoever configured them meant
// them, and what a proxy then connects to is for it to decide. tlsConfig may be nil.
func (p Policy) Transport(tlsConfig *tls.Config, proxy Proxy) *http.Transport {
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t := &http.Transport{
		DialContext:         p.Dialer(0).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if proxy != nil {
		known := &proxies{ask: proxy, guarded: p.Dialer(0), free: &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}}
		t.Proxy, t.DialContext = known.proxy, known.dial
	}
	return t
}

// proxies remembers the addresses of the proxies in use, so that a dial can tell one from a destination.
type proxies struct {
	ask           Proxy
	guarded, free *net.Dialer

	mu    sync.Mutex
	known map[string]bool
}

// defaultPorts of the kinds of proxies that net/http speaks to.
var defaultPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

func (p *proxies) proxy(r *http.Request) (*url.URL, error) {
	u, err := p.ask(r)
	if err != nil || u == nil {
		return u, err
	}
	port := u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]bool{}
	}
	p.known[net.JoinHostPort(u.Hostname(), port)] = true
	return u, nil
}

func (p *proxies) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	p.mu.Lock()
	isProxy := p.known[addr]
	p.mu.Unlock()
	if isProxy {
		return p.free.DialContext(ctx, network, addr) //nolint:wrapcheck // the transport wraps it
	}
	return p.guarded.DialContext(ctx, network, addr) //nolint:wrapcheck // the transport wraps it
}

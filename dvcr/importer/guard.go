package importer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// metadataAddresses answer with credentials of the machine on some clouds, outside of the link-local range.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("fd00:ec2::254"),
}

// guard decides which addresses an import may connect to. It looks at the address of each connection, after names were
// resolved and redirects followed, so neither can lead around it.
type guard struct {
	allowLoopback bool
}

func (g guard) check(addr netip.Addr) error {
	addr = addr.Unmap()
	refused := addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() || addr.IsLoopback() && !g.allowLoopback
	for _, m := range metadataAddresses {
		refused = refused || addr == m
	}
	if refused {
		return fmt.Errorf("%w: %s", ErrForbiddenAddress, addr)
	}
	return nil
}

// control is a net.Dialer's last look at an address.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrForbiddenAddress, address)
	}
	return g.check(ap.Addr())
}

// maxRedirects is what browsers follow too.
const maxRedirects = 10

// newHTTPClient returns a client that connects only where g allows. It has no time limits of its own beyond connecting:
// whoever reads watches for a transfer that stands still.
func newHTTPClient(g guard, caBundle []byte) (*http.Client, error) {
	roots, err := rootsWith(caBundle)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 15 * time.Second, Control: g.control}
	p := &proxies{guarded: dialer, free: &net.Dialer{Timeout: 15 * time.Second}}
	transport := &http.Transport{
		Proxy:               p.proxy,
		DialContext:         p.dial,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // ranges and checksums count the bytes as they are
		ReadBufferSize:      256 << 10,
	}
	return &http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}}, nil
}

// rootsWith returns the system's authorities and those of the bundle.
func rootsWith(caBundle []byte) (*x509.CertPool, error) {
	if len(caBundle) == 0 {
		return nil, nil //nolint:nilnil // nil stands for the system's authorities
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(caBundle) {
		return nil, fmt.Errorf("%w: caBundle holds no PEM certificate", ErrInvalidSource)
	}
	return roots, nil
}

// proxies lets connections to the configured proxies pass the guard: whoever configured them meant them. What a proxy then
// connects to is for it to decide.
type proxies struct {
	guarded, free *net.Dialer

	mu    sync.Mutex
	known map[string]bool
}

func (p *proxies) proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil || u == nil {
		return u, err //nolint:wrapcheck // the transport wraps it
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
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
	d := p.guarded
	if isProxy {
		d = p.free
	}
	return d.DialContext(ctx, network, addr) //nolint:wrapcheck // the transport wraps it
}

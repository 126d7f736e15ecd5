package git

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/git/wire"
)

// maxHeader bounds the headers of an answer, in bytes.
const maxHeader = 64 << 10

// web returns the transport for a remote that is spoken to over HTTP. What it logs in with is sent to the remote's own host
// and to no other.
func (c *Client) web(r Remote, u *url.URL, authorization string) (*door, error) {
	own, err := c.transport(r, true)
	if err != nil {
		return nil, err
	}
	foreign, err := c.transport(r, false)
	if err != nil {
		return nil, err
	}
	via, _ := r.Proxy.url()
	return &door{home: u, own: own, foreign: foreign, shared: c.shared, authorization: authorization, policy: c.egress, proxied: via != nil}, nil
}

// transport connects within the policy, by way of the remote's proxy if it has one. Remotes that have neither a proxy nor
// certificates share one: its connections know nothing of who uses them.
func (c *Client) transport(r Remote, certified bool) (*http.Transport, error) {
	via, _ := r.Proxy.url()
	certified = certified && len(r.Auth.Cert) > 0
	if via == nil && len(r.Auth.CA) == 0 && !certified {
		return c.shared, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(r.Auth.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pool.AppendCertsFromPEM(r.Auth.CA)
		config.RootCAs = pool
	}
	if certified {
		pair, err := tls.X509KeyPair(r.Auth.Cert, r.Auth.Key)
		if err != nil {
			return nil, fmt.Errorf("use the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return c.newTransport(config, via), nil
}

// newTransport makes one. A proxy that a tenant names must be within the policy itself; those of the environment, which an
// operator sets, need not.
func (c *Client) newTransport(config *tls.Config, via *url.URL) *http.Transport {
	var t *http.Transport
	if via != nil {
		t = c.egress.Transport(config, nil)
		t.Proxy = http.ProxyURL(via)
	} else {
		t = c.egress.Transport(config, http.ProxyFromEnvironment)
	}
	t.MaxResponseHeaderBytes = maxHeader
	return t
}

// door lets requests out: with credentials to the home of the remote, without to anywhere else.
type door struct {
	home          *url.URL
	own, foreign  *http.Transport
	shared        *http.Transport
	authorization string
	policy        egress.Policy
	proxied       bool
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := d.check(r.Context(), r.URL.Hostname()); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	r.Header.Del("Referer")
	if !sameOrigin(d.home, r.URL) {
		return d.foreign.RoundTrip(r) //nolint:wrapcheck // a round tripper returns what it got
	}
	if d.authorization != "" {
		r.Header.Set("Authorization", d.authorization)
	}
	return d.own.RoundTrip(r) //nolint:wrapcheck // a round tripper returns what it got
}

// CloseIdleConnections closes what is kept for later requests to this remote alone.
func (d *door) CloseIdleConnections() {
	for _, t := range []*http.Transport{d.own, d.foreign} {
		if t != d.shared {
			t.CloseIdleConnections()
		}
	}
}

// check looks at a host before a proxy does. What is connected to directly is looked at again by the dialer.
func (d *door) check(ctx context.Context, host string) error {
	return checkHost(ctx, d.policy, host, d.proxied)
}

// checkHost refuses an address that the policy forbids and, where a proxy resolves the name, a name that leads to one as
// far as we can see.
func checkHost(ctx context.Context, policy egress.Policy, host string, proxied bool) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return policy.Check(addr) //nolint:wrapcheck // it names the address
	}
	if !proxied {
		return nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // a name that only the proxy knows
	}
	for _, addr := range addrs {
		if err := policy.Check(addr); err != nil {
			return fmt.Errorf("%s: %w", host, err)
		}
	}
	return nil
}

// sameOrigin reports whether a URL leads to the same server, or to its TLS side on the default ports.
func sameOrigin(a, b *url.URL) bool {
	if a.Hostname() != b.Hostname() {
		return false
	}
	upgrade := a.Scheme == "http" && b.Scheme == "https" && port(a) == "80" && port(b) == "443"
	return upgrade || a.Scheme == b.Scheme && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443", "ssh": "22", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
}

// sshDialer opens connections that are logged in.
func (c *Client) sshDialer(r Remote, auth *sshAuth) func(context.Context) (*ssh.Client, error) {
	return func(ctx context.Context) (*ssh.Client, error) {
		conn, err := c.dial(ctx, r.Proxy, auth.address)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		client, channels, requests, err := ssh.NewClientConn(conn, auth.address, auth.config())
		if err != nil {
			_ = conn.Close()
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("open SSH connection: %w", err)
		}
		return ssh.NewClient(client, channels, requests), nil
	}
}

// dial connects to an address, by way of a proxy if there is one.
func (c *Client) dial(ctx context.Context, p Proxy, address string) (net.Conn, error) {
	via, _ := p.url()
	dialer := c.egress.Dialer(0)
	if via == nil {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		return conn, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := checkHost(ctx, c.egress, host, true); err != nil {
		return nil, err
	}
	if via.Scheme == "http" || via.Scheme == "https" {
		return tunnel(ctx, dialer, via, address)
	}
	return socks(ctx, dialer, via, address)
}

func socks(ctx context.Context, dialer *net.Dialer, via *url.URL, address string) (net.Conn, error) {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	s, err := proxy.SOCKS5("tcp", net.JoinHostPort(via.Hostname(), port(via)), auth, dialer)
	if err != nil {
		return nil, fmt.Errorf("use the SOCKS5 proxy: %w", err)
	}
	contextual, able := s.(proxy.ContextDialer)
	if !able {
		return nil, errors.New("use the SOCKS5 proxy: it cannot be interrupted")
	}
	conn, err := contextual.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect through the SOCKS5 proxy: %w", err)
	}
	return conn, nil
}

// tunnel asks an HTTP proxy for a connection.
func tunnel(ctx context.Context, dialer *net.Dialer, via *url.URL, address string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(via.Hostname(), port(via)))
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy: %w", err)
	}
	if via.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	in, err := connect(conn, via, address)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect through the proxy: %w", err)
	}
	return &tunneled{Conn: conn, in: in}, nil
}

func connect(conn net.Conn, via *url.URL, address string) (*bufio.Reader, error) {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if via.User != nil {
		password, _ := via.User.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, &wire.StatusError{Code: res.StatusCode}
	}
	return in, nil
}

// tunneled is a connection whose first bytes may have been read already.
type tunneled struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (t *tunneled) Read(b []byte) (int, error) {
	return t.in.Read(b) //nolint:wrapcheck // a connection returns what it got
}

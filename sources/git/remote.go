package git

import (
	"net/url"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// DefaultTimeout bounds one conversation with a server when the remote does not say otherwise.
const DefaultTimeout = 60 * time.Second

// Remote is a repository on a server.
type Remote struct {
	// URL is an http, https or ssh URL without a password in it.
	URL string
	// Auth is how to log in; the zero value is anonymous.
	Auth Auth
	// Proxy is used for HTTP, HTTPS and SSH when its URL is set.
	Proxy Proxy
	// Timeout bounds each conversation; zero is DefaultTimeout.
	Timeout time.Duration
}

// Proxy is an HTTP or SOCKS5 proxy.
type Proxy struct {
	URL, Username, Password string
}

func (r Remote) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return DefaultTimeout
}

// check applies the URL policy.
func (r Remote) check(op string) (*url.URL, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, r.errorf(op, ErrRefused, "the URL does not parse; write https://host/path or ssh://git@host/path")
	}
	if !slices.Contains([]string{"https", "http", "ssh"}, u.Scheme) {
		return nil, r.errorf(op, ErrRefused, "only https, http and ssh are spoken; write https://host/path or ssh://git@host/path")
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return nil, r.errorf(op, ErrRefused, "the URL names no host")
	}
	if _, set := u.User.Password(); set {
		return nil, r.errorf(op, ErrRefused, "the URL has a password in it; move it to a Secret and name that in secretRef")
	}
	if u.User != nil && u.Scheme != "ssh" {
		return nil, r.errorf(op, ErrRefused, "the URL has a user name in it; move it to a Secret and name that in secretRef")
	}
	return u, nil
}

func (r Remote) proxy() transport.ProxyOptions {
	return transport.ProxyOptions{URL: r.Proxy.URL, Username: r.Proxy.Username, Password: r.Proxy.Password}
}

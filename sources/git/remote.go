package git

import (
	"net/url"
	"slices"
	"time"

	"slipway.dev/slipway/internal/scrub"
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
	// Timeout bounds each operation; zero is DefaultTimeout.
	Timeout time.Duration
}

// Proxy is an HTTP or SOCKS5 proxy. It prints as "(proxy)".
type Proxy struct {
	// URL of the proxy: http, https, socks5 or socks5h.
	URL string
	// Username and Password to log in to it, if it wants that.
	Username, Password string
}

// String hides the credentials from logs.
func (Proxy) String() string { return "(proxy)" }

// GoString hides the credentials from logs.
func (Proxy) GoString() string { return "(proxy)" }

// url parses the proxy's address; without one it is nil.
func (p Proxy) url() (*url.URL, string) {
	if p.URL == "" {
		return nil, ""
	}
	u, err := url.Parse(p.URL)
	if err != nil || u.Hostname() == "" {
		return nil, "the proxy's address does not parse; write http://host:port or socks5://host:port"
	}
	if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, "the proxy's address begins with none of http, https and socks5"
	}
	if p.Username != "" {
		u.User = url.UserPassword(p.Username, p.Password)
	}
	return u, ""
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
	if u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" {
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

// Scrubber removes from texts what the remote keeps secret.
func (r Remote) Scrubber() scrub.Scrubber {
	secrets := append(r.Auth.secrets(), r.Proxy.Password)
	for _, raw := range []string{r.URL, r.Proxy.URL} {
		if u, err := url.Parse(raw); err == nil && u.User != nil {
			password, _ := u.User.Password()
			secrets = append(secrets, password)
		}
	}
	return scrub.New(secrets...)
}

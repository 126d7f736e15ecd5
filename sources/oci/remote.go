package oci

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry"

	"slipway.dev/slipway/internal/scrub"
)

// Scheme begins the URL of a repository.
const Scheme = "oci://"

// DefaultTimeout bounds one operation when the remote does not say otherwise.
const DefaultTimeout = 60 * time.Second

// Remote is a repository in a registry.
type Remote struct {
	// URL is oci://host/repository, without a tag.
	URL string
	// Insecure speaks plain HTTP.
	Insecure bool
	// Logins to choose from; none means anonymous.
	Logins []Login
	// TLS says whom to trust and who we are.
	TLS TLS
	// Proxy to go through; empty means the one of the environment.
	Proxy Proxy
	// Timeout bounds each operation; zero is DefaultTimeout.
	Timeout time.Duration
}

// TLS holds PEM blocks; each may be empty.
type TLS struct{ CA, Cert, Key []byte }

// ParseTLS reads the keys ca.crt, tls.crt and tls.key of a Secret.
func ParseTLS(data map[string][]byte) (TLS, error) {
	t := TLS{CA: data["ca.crt"], Cert: data["tls.crt"], Key: data["tls.key"]}
	if len(t.CA)+len(t.Cert)+len(t.Key) == 0 {
		return t, errors.New("it has none of the keys ca.crt, tls.crt and tls.key")
	}
	_, err := t.config()
	return t, err
}

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(t.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("ca.crt holds no certificate in PEM form")
		}
	}
	if len(t.Cert)+len(t.Key) > 0 {
		pair, err := tls.X509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, errors.New("tls.crt and tls.key are no certificate with its key in PEM form")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Proxy is an HTTP or SOCKS5 proxy.
type Proxy struct{ URL, Username, Password string }

func (p Proxy) parse() (*url.URL, error) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, errors.New("the proxy's address is no http, https or socks5 URL")
	}
	if p.Username != "" {
		u.User = url.UserPassword(p.Username, p.Password)
	}
	return u, nil
}

func (r Remote) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return DefaultTimeout
}

// check applies the policy for URLs and takes one apart.
func (r Remote) check(op string) (registry.Reference, error) {
	name, found := strings.CutPrefix(r.URL, Scheme)
	if !found {
		return registry.Reference{}, r.errorf(op, ErrRefused, "only oci:// is spoken; write oci://host/repository")
	}
	if strings.ContainsAny(name, "@?#") {
		return registry.Reference{}, r.errorf(op, ErrRefused, "the URL has credentials, a digest or a query in it; put a digest into ref.digest and credentials into a Secret")
	}
	host, repository, _ := strings.Cut(name, "/")
	if strings.Contains(repository, ":") {
		return registry.Reference{}, r.errorf(op, ErrRefused, "the URL has a tag in it; move it to ref.tag")
	}
	ref := registry.Reference{Registry: host, Repository: strings.TrimSuffix(repository, "/")}
	if err := errors.Join(ref.ValidateRegistry(), ref.ValidateRepository()); err != nil {
		return ref, r.errorf(op, ErrRefused, "the URL names no repository; write oci://host/repository in lower case")
	}
	return ref, nil
}

// key names everything that a connection depends on.
func (r Remote) key(host string) ([sha256.Size]byte, error) {
	content, err := json.Marshal([]any{host, r.Insecure, r.Logins, r.TLS, r.Proxy, r.URL})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("name a connection: %w", err)
	}
	return sha256.Sum256(content), nil
}

// Scrubber removes whatever the remote keeps secret from texts.
func (r Remote) Scrubber() scrub.Scrubber {
	secrets := []string{r.Proxy.Password}
	for _, l := range r.Logins {
		secrets = append(secrets, l.secrets()...)
	}
	if u, err := url.Parse(r.URL); err == nil && u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, password, u.User.String())
	}
	return scrub.New(secrets...)
}

// SplitURL takes the tag or digest off the end of a URL. Both are empty when there is none.
func SplitURL(raw string) (repository string, ref Ref) {
	if name, pinned, found := strings.Cut(raw, "@"); found {
		if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
			name = name[:i]
		}
		return name, Ref{Digest: pinned}
	}
	if i := strings.LastIndex(raw, ":"); i > strings.LastIndex(raw, "/") && strings.Count(raw, "/") > 2 {
		return raw[:i], Ref{Tag: raw[i+1:]}
	}
	return raw, Ref{}
}

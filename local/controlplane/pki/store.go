package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"slipway.dev/slipway/local/controlplane/datadir"
)

// Files tells where the files are that the servers read themselves.
type Files struct {
	// Authority is the certificate that clients and servers verify against.
	Authority string
	// ServerCertificate and ServerKey serve HTTPS.
	ServerCertificate string
	ServerKey         string
	// ServiceAccountKey signs and verifies service account tokens.
	ServiceAccountKey string
	// ProxyAuthority is what aggregated API servers verify the API server
	// against when it speaks for a user.
	ProxyAuthority string
	// ProxyCertificate and ProxyKey authenticate the API server there.
	ProxyCertificate string
	ProxyKey         string
}

// Store keeps an authority and its serving certificate in a directory, and a
// second authority for the API server as a proxy: whoever holds a certificate
// of that one is believed to speak for anybody.
type Store struct {
	dir       string
	authority *Authority
}

const (
	authorityCertificate = "ca.crt"
	authorityKey         = "ca.key"
	serverCertificate    = "apiserver.crt"
	serverKey            = "apiserver.key"
	serviceAccountKey    = "service-account.key"

	proxyAuthorityCertificate = "front-proxy-ca.crt"
	proxyAuthorityKey         = "front-proxy-ca.key"
	proxyCertificate          = "front-proxy.crt"
	proxyKey                  = "front-proxy.key"
)

// ProxyName is who the API server is to the API servers behind it.
const ProxyName = "front-proxy"

// OpenStore makes the directory and whatever in it is missing, and issues a
// new serving certificate for the given names and addresses.
func OpenStore(dir string, names []string, addresses []net.IP, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create certificate directory: %w", err)
	}
	s := &Store{dir: dir}
	var err error
	if s.authority, err = s.openAuthority(authorityCertificate, authorityKey, now); err != nil {
		return nil, fmt.Errorf("open certificate authority in %s: %w", dir, err)
	}
	if err := s.issueProxy(now); err != nil {
		return nil, err
	}
	if err := s.ensureServiceAccountKey(); err != nil {
		return nil, fmt.Errorf("open service account key in %s: %w", dir, err)
	}
	server, err := s.authority.Server(names, addresses)
	if err != nil {
		return nil, err
	}
	if err := s.write(server, serverCertificate, serverKey); err != nil {
		return nil, err
	}
	return s, nil
}

// Authority issues certificates in the store's name.
func (s *Store) Authority() *Authority { return s.authority }

// Files returns the paths of what the store keeps.
func (s *Store) Files() Files {
	return Files{
		Authority:         s.path(authorityCertificate),
		ServerCertificate: s.path(serverCertificate),
		ServerKey:         s.path(serverKey),
		ServiceAccountKey: s.path(serviceAccountKey),
		ProxyAuthority:    s.path(proxyAuthorityCertificate),
		ProxyCertificate:  s.path(proxyCertificate),
		ProxyKey:          s.path(proxyKey),
	}
}

// issueProxy issues a new certificate for the API server as a proxy.
func (s *Store) issueProxy(now func() time.Time) error {
	authority, err := s.openAuthority(proxyAuthorityCertificate, proxyAuthorityKey, now)
	if err != nil {
		return fmt.Errorf("open the proxy's certificate authority in %s: %w", s.dir, err)
	}
	pair, err := authority.Client(Identity{Name: ProxyName})
	if err != nil {
		return err
	}
	return s.write(pair, proxyCertificate, proxyKey)
}

// openAuthority reads the authority, or makes one where there is none, or
// where it is too old to sign for as long as what it issues has to last.
func (s *Store) openAuthority(certificate, key string, now func() time.Time) (*Authority, error) {
	pair, err := s.read(certificate, key)
	if errors.Is(err, fs.ErrNotExist) {
		return s.newAuthority(certificate, key, now)
	}
	if err != nil {
		return nil, err
	}
	authority, err := ParseAuthority(pair, now)
	if err != nil {
		return nil, fmt.Errorf("%w: restore both files, or remove both to start a new authority", err)
	}
	if authority.expiresBeforeLeaf() {
		return s.newAuthority(certificate, key, now)
	}
	return authority, nil
}

func (s *Store) newAuthority(certificate, key string, now func() time.Time) (*Authority, error) {
	authority, err := NewAuthority(now)
	if err != nil {
		return nil, err
	}
	return authority, s.write(authority.pair, certificate, key)
}

// ensureServiceAccountKey never replaces a key: tokens signed with it would
// become invalid.
func (s *Store) ensureServiceAccountKey() error {
	text, err := os.ReadFile(s.path(serviceAccountKey))
	if err == nil {
		_, err = parseKey(text)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read key: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	return datadir.WriteFile(s.path(serviceAccountKey), key, 0o600)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Store) read(certificate, key string) (Pair, error) {
	certificateText, certificateErr := os.ReadFile(s.path(certificate))
	keyText, keyErr := os.ReadFile(s.path(key))
	if err := errors.Join(certificateErr, keyErr); err != nil {
		return Pair{}, fmt.Errorf("read: %w", err)
	}
	return Pair{Certificate: certificateText, Key: keyText}, nil
}

// write puts the key first: a certificate on disk always has its key.
func (s *Store) write(pair Pair, certificate, key string) error {
	if err := datadir.WriteFile(s.path(key), pair.Key, 0o600); err != nil {
		return err
	}
	return datadir.WriteFile(s.path(certificate), pair.Certificate, 0o600)
}

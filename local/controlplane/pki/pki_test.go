package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var (
	newYear   = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	names     = []string{"localhost"}
	addresses = []net.IP{net.IPv4(127, 0, 0, 1)}
)

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

func openStore(t *testing.T, dir string, now time.Time) *Store {
	t.Helper()
	s, err := OpenStore(dir, names, addresses, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func leafOf(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	certificate, err := parseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (s *Store) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.Authority().Certificate())
	return pool
}

func TestServingCertificateVerifies(t *testing.T) {
	s := openStore(t, t.TempDir(), newYear)
	files := s.Files()
	pair, err := tls.LoadX509KeyPair(files.ServerCertificate, files.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		name  string
		at    time.Time
		valid bool
	}{
		"the address":         {name: "127.0.0.1", at: newYear, valid: true},
		"the name":            {name: "localhost", at: newYear, valid: true},
		"a clock behind":      {name: "localhost", at: newYear.Add(-time.Minute), valid: true},
		"almost a year later": {name: "localhost", at: newYear.AddDate(0, 11, 0), valid: true},
		"over a year later":   {name: "localhost", at: newYear.AddDate(1, 1, 0)},
		"another name":        {name: "example.com", at: newYear},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: s.pool(), DNSName: tc.name, CurrentTime: tc.at})
			if (err == nil) != tc.valid {
				t.Errorf("verify: %v, want valid %t", err, tc.valid)
			}
		})
	}
}

func TestClientCertificateCarriesIdentity(t *testing.T) {
	s := openStore(t, t.TempDir(), newYear)
	pair, err := s.Authority().Client(Identity{Name: "ada", Groups: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	leaf := leafOf(t, pair.Certificate)
	if leaf.Subject.CommonName != "ada" || !slices.Equal(leaf.Subject.Organization, []string{"system:masters"}) {
		t.Errorf("subject %s, want ada of system:masters", leaf.Subject)
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: s.pool(), CurrentTime: newYear, KeyUsages: client}); err != nil {
		t.Errorf("verify as a client: %v", err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: s.pool(), CurrentTime: newYear}); err == nil {
		t.Error("a client's certificate can serve")
	}
}

func TestProxyHasAnAuthorityOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	files := openStore(t, dir, newYear).Files()
	before := read(t, files.ProxyAuthority)
	later := newYear.AddDate(0, 6, 0)
	openStore(t, dir, later)
	if !bytes.Equal(read(t, files.ProxyAuthority), before) {
		t.Error("the proxy's authority changed: servers behind the API server no longer believe it")
	}
	leaf := leafOf(t, read(t, files.ProxyCertificate))
	if leaf.Subject.CommonName != ProxyName {
		t.Errorf("subject %s, want %s", leaf.Subject, ProxyName)
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	proxies, users := x509.NewCertPool(), x509.NewCertPool()
	proxies.AppendCertsFromPEM(before)
	users.AppendCertsFromPEM(read(t, files.Authority))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: proxies, CurrentTime: later, KeyUsages: client}); err != nil {
		t.Errorf("verify as the proxy: %v", err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: users, CurrentTime: later, KeyUsages: client}); err == nil {
		t.Error("the proxy's certificate is a user's too")
	}
}

func TestReopenedStoreKeepsWhatOthersRelyOn(t *testing.T) {
	dir := t.TempDir()
	first := openStore(t, dir, newYear)
	accounts := read(t, first.Files().ServiceAccountKey)
	old, err := first.Authority().Client(Identity{Name: "ada"})
	if err != nil {
		t.Fatal(err)
	}

	second := openStore(t, dir, newYear.AddDate(0, 6, 0))
	if !bytes.Equal(read(t, second.Files().ServiceAccountKey), accounts) {
		t.Error("service account key changed: tokens in use became invalid")
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	options := x509.VerifyOptions{Roots: second.pool(), CurrentTime: newYear.AddDate(0, 6, 0), KeyUsages: client}
	if _, err := leafOf(t, old.Certificate).Verify(options); err != nil {
		t.Errorf("certificate from before: %v", err)
	}
	serving := leafOf(t, read(t, second.Files().ServerCertificate))
	if want := newYear.AddDate(1, 0, 0); !serving.NotAfter.After(want) {
		t.Errorf("serving certificate ends %s, want it renewed", serving.NotAfter)
	}
}

func TestAuthorityIsReplacedBeforeItEnds(t *testing.T) {
	dir := t.TempDir()
	first := openStore(t, dir, newYear)
	later := newYear.Add(authorityLifetime - leafLifetime + time.Hour)
	second := openStore(t, dir, later)
	if bytes.Equal(first.Authority().Certificate(), second.Authority().Certificate()) {
		t.Error("authority signs certificates that outlive it")
	}
}

func TestOpenStoreRefusesWhatDoesNotFit(t *testing.T) {
	cases := map[string]func(t *testing.T, dir string) error{
		"a key of another authority": func(t *testing.T, dir string) error {
			other := openStore(t, t.TempDir(), newYear)
			return os.WriteFile(filepath.Join(dir, authorityKey), read(t, other.path(authorityKey)), 0o600)
		},
		"a certificate that is none": func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, authorityCertificate), []byte("?"), 0o600)
		},
		"a service account key that is none": func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, serviceAccountKey), []byte("?"), 0o600)
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			openStore(t, dir, newYear)
			if err := spoil(t, dir); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenStore(dir, names, addresses, at(newYear)); err == nil {
				t.Error("opened")
			}
		})
	}
}

func TestKeysAreClosedToOthers(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir, newYear)
	for _, name := range []string{authorityKey, serverKey, serviceAccountKey, proxyAuthorityKey, proxyKey} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, got)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

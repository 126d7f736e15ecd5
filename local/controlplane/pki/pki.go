package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 365 * 24 * time.Hour
	// backdate forgives clocks that differ a little, as a virtual machine's
	// does after it was suspended.
	backdate = 5 * time.Minute
)

// Pair is a certificate with its key, both PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// Identity is who a client certificate speaks for: Name becomes the Kubernetes
// user, Groups its groups.
type Identity struct {
	Name   string
	Groups []string
}

// Authority signs certificates.
type Authority struct {
	pair        Pair
	certificate *x509.Certificate
	key         crypto.Signer
	now         func() time.Time
}

// NewAuthority makes an authority with a key of its own.
func NewAuthority(now func() time.Time) (*Authority, error) {
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: "slipway-controlplane"},
		NotBefore:             now().Add(-backdate),
		NotAfter:              now().Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	pair, err := issue(&template, nil)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	return ParseAuthority(pair, now)
}

// ParseAuthority takes up an authority made earlier.
func ParseAuthority(pair Pair, now func() time.Time) (*Authority, error) {
	certificate, err := parseCertificate(pair.Certificate)
	if err != nil {
		return nil, fmt.Errorf("parse authority certificate: %w", err)
	}
	key, err := parseKey(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("parse authority key: %w", err)
	}
	if public, ok := key.Public().(*ecdsa.PublicKey); !ok || !public.Equal(certificate.PublicKey) {
		return nil, fmt.Errorf("authority key does not belong to its certificate")
	}
	return &Authority{pair: pair, certificate: certificate, key: key, now: now}, nil
}

// Certificate is the authority's own certificate, PEM: what clients verify
// the server against, and the server its clients.
func (a *Authority) Certificate() []byte { return a.pair.Certificate }

// expiresBeforeLeaf says whether the authority ends before a leaf issued now would.
func (a *Authority) expiresBeforeLeaf() bool {
	return a.certificate.NotAfter.Before(a.now().Add(leafLifetime))
}

// Client issues a certificate that authenticates an identity.
func (a *Authority) Client(id Identity) (Pair, error) {
	template := a.leaf(x509.ExtKeyUsageClientAuth)
	template.Subject = pkix.Name{CommonName: id.Name, Organization: id.Groups}
	pair, err := issue(template, a)
	if err != nil {
		return Pair{}, fmt.Errorf("issue client certificate for %q: %w", id.Name, err)
	}
	return pair, nil
}

// Server issues a serving certificate for the given names and addresses.
func (a *Authority) Server(names []string, addresses []net.IP) (Pair, error) {
	template := a.leaf(x509.ExtKeyUsageServerAuth)
	template.Subject = pkix.Name{CommonName: "kube-apiserver"}
	template.DNSNames, template.IPAddresses = names, addresses
	pair, err := issue(template, a)
	if err != nil {
		return Pair{}, fmt.Errorf("issue serving certificate: %w", err)
	}
	return pair, nil
}

func (a *Authority) leaf(usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		NotBefore:   a.now().Add(-backdate),
		NotAfter:    a.now().Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
}

// issue signs the template for a new key; by itself when there is no issuer.
func issue(template *x509.Certificate, issuer *Authority) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("generate key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return Pair{}, fmt.Errorf("draw serial number: %w", err)
	}
	parent, signer := template, crypto.Signer(key)
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("sign certificate: %w", err)
	}
	encodedKey, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der}), Key: encodedKey}, nil
}

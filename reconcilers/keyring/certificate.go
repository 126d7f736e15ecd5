package keyring

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
)

// Keys of the Secret with the certificate.
const (
	authorityCertificate = "ca.crt"
	authorityKey         = "ca.key"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	// ahead is how long before its end a certificate is replaced, in parts of its life.
	ahead = 4
)

// ErrBadCertificate says that the certificate of somebody else cannot be used.
var ErrBadCertificate = errors.New("the Secret holds no certificate that DVCR could use: put tls.crt, tls.key and ca.crt there, or empty it to have them made")

// renewal is what a Secret with a certificate needs.
type renewal int

const (
	nothing renewal = iota
	certificate
	everything // a new authority, too
)

// needs decides what is to be renewed.
//
//	nothing there                              everything
//	a certificate without its authority's key  nothing: it is somebody else's; it must be one
//	the authority ends soon, or is none        everything
//	the certificate ends soon, or is for
//	another host, or from another authority    certificate
func needs(data map[string][]byte, host string, now time.Time) (renewal, error) {
	if len(data[authorityKey]) == 0 && len(data[corev1.TLSCertKey]) > 0 {
		if _, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]); err != nil {
			return nothing, fmt.Errorf("%w: %w", ErrBadCertificate, err)
		}
		return nothing, nil
	}
	usages := &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ok, err := rotator.ValidCert(data[authorityCertificate], data[authorityCertificate], data[authorityKey], "", nil, now.Add(authorityLife/ahead)); !ok || err != nil {
		return everything, nil //nolint:nilerr // what cannot be read is replaced
	}
	if ok, err := rotator.ValidCert(data[authorityCertificate], data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey], host, usages, now.Add(certificateLife/ahead)); !ok || err != nil {
		return certificate, nil //nolint:nilerr // what cannot be read is replaced
	}
	return nothing, nil
}

// renew returns what the Secret is to hold.
func renew(data map[string][]byte, what renewal, host string, now time.Time) (map[string][]byte, error) {
	maker := &rotator.CertRotator{
		CAName: "slipway-dvcr-authority", CAOrganization: "slipway", DNSName: host, ExtraDNSNames: []string{host + ".cluster.local"},
		ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	begin := now.Add(-time.Hour) // for clocks that are behind
	authority, err := parseAuthority(data)
	if what == everything || err != nil {
		if authority, err = maker.CreateCACert(begin, now.Add(authorityLife)); err != nil {
			return nil, fmt.Errorf("make DVCR's authority: %w", err)
		}
	}
	cert, key, err := maker.CreateCertPEM(authority, begin, now.Add(certificateLife))
	if err != nil {
		return nil, fmt.Errorf("make DVCR's certificate: %w", err)
	}
	return map[string][]byte{
		authorityCertificate: authority.CertPEM, authorityKey: authority.KeyPEM,
		corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key,
	}, nil
}

var errNoPEM = errors.New("no PEM")

func parseAuthority(data map[string][]byte) (*rotator.KeyPairArtifacts, error) {
	certPEM, keyPEM := data[authorityCertificate], data[authorityKey]
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errNoPEM
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the authority: %w", err)
	}
	key, err := x509.ParsePKCS1PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the authority's key: %w", err)
	}
	return &rotator.KeyPairArtifacts{Cert: cert, Key: key, CertPEM: certPEM, KeyPEM: keyPEM}, nil
}

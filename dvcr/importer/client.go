package importer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"slipway.dev/slipway/internal/egress"
)

// maxRedirects is what browsers follow too.
const maxRedirects = 10

// newHTTPClient returns a client that connects only where policy allows. It has no time limits of its own beyond
// connecting: whoever reads watches for a transfer that stands still.
func newHTTPClient(policy egress.Policy, caBundle []byte) (*http.Client, error) {
	roots, err := rootsWith(caBundle)
	if err != nil {
		return nil, err
	}
	transport := policy.Transport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, http.ProxyFromEnvironment)
	transport.DisableCompression = true // ranges and checksums count the bytes as they are
	transport.ReadBufferSize = 256 << 10
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

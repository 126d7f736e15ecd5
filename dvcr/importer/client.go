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

// patient turns answers of an overloaded registry into errors that remember when to come again, which the registry library's
// own errors do not.
type patient struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.RoundTripper.RoundTrip(req)
	if err == nil && retryAfter(resp.Header) > 0 && statusError(resp.StatusCode).transient() {
		resp.Body.Close()
		return nil, responseError(resp)
	}
	return resp, err //nolint:wrapcheck // a transport passes errors on
}

package platform

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	certutil "k8s.io/client-go/util/cert"
)

const loopback = "127.0.0.1"

// servingCertificates are what the webhook server shows to the API server.
type servingCertificates struct {
	dir  string
	port int
	// authority is the PEM by which the API server trusts the webhooks.
	authority []byte
}

// webhookCertificates makes a certificate for loopback that lives as long as
// this process, and finds a free port.
func (p *Platform) webhookCertificates() (servingCertificates, error) {
	dir := filepath.Join(p.options.Layout.Run(), "webhook")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return servingCertificates{}, fmt.Errorf("make the directory of the webhook certificate: %w", err)
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey(loopback, []net.IP{net.ParseIP(loopback)}, nil)
	if err != nil {
		return servingCertificates{}, fmt.Errorf("make the webhook certificate: %w", err)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600),
	)
	if err != nil {
		return servingCertificates{}, fmt.Errorf("write the webhook certificate: %w", err)
	}
	port, err := freePort()
	return servingCertificates{dir: dir, port: port, authority: certificate}, err
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

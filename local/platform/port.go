package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
)

// stableListener listens on loopback at the address that the file remembers, so
// that URLs committed to Git stay good; at a free one, remembered from then on,
// when there is none yet or it was taken.
func stableListener(file string) (net.Listener, error) {
	saved, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the remembered address: %w", err)
	}
	if address := strings.TrimSpace(string(saved)); address != "" {
		if listener, err := net.Listen("tcp", address); err == nil {
			return listener, nil
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	if err := os.WriteFile(file, []byte(listener.Addr().String()+"\n"), 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("remember the address: %w", err)
	}
	return listener, nil
}

// stableAddress is stableListener for those who listen by themselves.
func stableAddress(file string) (string, error) {
	listener, err := stableListener(file)
	if err != nil {
		return "", err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", fmt.Errorf("free %s: %w", address, err)
	}
	return address, nil
}

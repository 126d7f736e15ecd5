package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// loopback is the only address that anything listens on.
const loopback = "127.0.0.1"

// Listen opens the API server's listener on loopback. A port that was asked
// for must be free; without one (0) the port of the last start is taken again
// when it is free, so that kubeconfigs handed out earlier stay valid, and any
// other when it is not.
func (d *Dir) Listen(port int) (net.Listener, error) {
	listener, err := d.listen(port)
	if err != nil {
		return nil, err
	}
	chosen := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	if err := WriteFile(d.portPath(), []byte(chosen+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("remember port: %w", err), listener.Close())
	}
	return listener, nil
}

func (d *Dir) listen(port int) (net.Listener, error) {
	if port != 0 {
		return listenOn(port)
	}
	remembered, err := readPort(d.portPath())
	if err != nil {
		return nil, err
	}
	if listener, err := listenOn(remembered); err == nil {
		return listener, nil
	}
	return listenOn(0)
}

func (d *Dir) portPath() string { return filepath.Join(d.root, portFile) }

func listenOn(port int) (net.Listener, error) {
	listener, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listen on port %d of loopback: %w: name another with --port, or 0 for any", port, err)
	}
	return listener, nil
}

// readPort returns 0 for a directory that was never served, and for a file
// that is not a port number: a lost port is an inconvenience, not a reason to
// refuse the data beside it.
func readPort(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read remembered port: %w", err)
	}
	if port, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16); err == nil {
		return int(port), nil
	}
	return 0, nil
}

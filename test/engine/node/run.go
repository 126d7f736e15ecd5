package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/test/engine/network"
	"slipway.dev/slipway/test/engine/tunnel"
)

// forwarding are settings of the node's own network.
var forwarding = map[string]string{
	"/proc/sys/net/ipv4/ip_forward":                 "1",
	"/proc/sys/net/bridge/bridge-nf-call-iptables":  "1",
	"/proc/sys/net/ipv6/conf/all/disable_ipv6":      "1",
	"/proc/sys/net/ipv6/conf/default/disable_ipv6":  "1",
	"/proc/sys/net/ipv4/conf/all/accept_redirects":  "0",
	"/proc/sys/net/ipv4/conf/all/send_redirects":    "0",
	"/proc/sys/net/ipv4/neigh/default/gc_thresh3":   "4096",
	"/proc/sys/net/ipv4/conf/default/rp_filter":     "0",
	"/proc/sys/net/ipv4/conf/all/rp_filter":         "0",
	"/proc/sys/net/bridge/bridge-nf-call-ip6tables": "0",
}

// Run is the second life of a node's first process: it starts the services,
// keeps them running and buries what has ended. It returns only to fail.
func Run() error {
	// What the launcher handed over is not for the services.
	for fd := fdReport; fd <= fdTunnel; fd++ {
		unix.CloseOnExec(fd)
	}
	spec, err := Read(SpecFile)
	if err != nil {
		return err
	}
	if err := startNode(spec); err != nil {
		tell(err)
		return err
	}
	tell(nil)
	return <-serve(spec)
}

func startNode(spec Spec) error {
	if err := setNetwork(); err != nil {
		return err
	}
	for _, command := range spec.Links {
		if err := ip(command); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(LogDir, 0o755); err != nil {
		return fmt.Errorf("create log directory: %w", err)
	}
	return newSupervisor().start(spec.Services)
}

// setNetwork leaves out settings that this kernel has not.
func setNetwork() error {
	for path, value := range forwarding {
		if err := os.WriteFile(path, []byte(value), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set %s: %w", path, err)
		}
	}
	return nil
}

// ip runs before the supervisor, which would bury the command unseen.
func ip(command network.Command) error {
	if output, err := exec.Command("ip", command...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(command, " "), err, output)
	}
	return nil
}

// serve leads the host's connections to where they want to go.
func serve(spec Spec) <-chan error {
	failed := make(chan error, 2)
	if spec.API == "" {
		return failed
	}
	go func() { failed <- listen(fdAPI, func(l net.Listener) error { return tunnel.Forward(l, spec.API) }) }()
	go func() { failed <- listen(fdTunnel, tunnel.Serve) }()
	return failed
}

func listen(fd uintptr, serve func(net.Listener) error) error {
	f := os.NewFile(fd, "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("take over a listener of the host: %w", err)
	}
	err = serve(l)
	log.Printf("a way in is closed: %v", err)
	return err
}

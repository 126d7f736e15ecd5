package platform

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultDataDir is where `slipway up` keeps its data unless told otherwise:
// $XDG_DATA_HOME/slipway or ~/.local/share/slipway.
func DefaultDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "slipway"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a data directory: %w; name one with --data-dir", err)
	}
	return filepath.Join(home, ".local", "share", "slipway"), nil
}

// Layout names the parts of a data directory.
type Layout struct{ Root string }

// ControlPlane holds etcd, certificates and the admin kubeconfig.
func (l Layout) ControlPlane() string { return filepath.Join(l.Root, "controlplane") }

// Kubeconfig is the admin kubeconfig of the control plane.
func (l Layout) Kubeconfig() string { return filepath.Join(l.ControlPlane(), "kubeconfig") }

// DVCR holds the registry's blobs and credentials.
func (l Layout) DVCR() string { return filepath.Join(l.Root, "dvcr") }

// Imports holds downloads that are under way.
func (l Layout) Imports() string { return filepath.Join(l.Root, "imports") }

// Store holds source artifacts; it can be rebuilt.
func (l Layout) Store() string { return filepath.Join(l.Root, "store") }

// Git holds the repositories that the platform itself serves.
func (l Layout) Git() string { return filepath.Join(l.Root, "git") }

// Node holds disks and running instances.
func (l Layout) Node() string { return filepath.Join(l.Root, "node") }

// Demo holds the sample image and the SSH key of the demo.
func (l Layout) Demo() string { return filepath.Join(l.Root, "demo") }

// Run holds what belongs to the running process.
func (l Layout) Run() string { return filepath.Join(l.Root, "run") }

// Log is where a detached platform writes.
func (l Layout) Log() string { return filepath.Join(l.Run(), "slipway.log") }

// SSHKey is the private key that the demo's machines accept.
func (l Layout) SSHKey() string { return filepath.Join(l.Demo(), "id_ed25519") }

func (l Layout) make() error {
	for _, dir := range []string{l.Root, l.DVCR(), l.Imports(), l.Store(), l.Git(), l.Node(), l.Demo(), l.Run()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the data directory: %w", err)
		}
	}
	return nil
}

// KnownHosts holds the host keys of the machines that were logged in to.
func (l Layout) KnownHosts() string { return filepath.Join(l.Root, "known_hosts") }

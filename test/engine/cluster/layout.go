package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
)

// Layout is where things are below the data directory.
type Layout struct {
	// Dir is the data directory, an absolute path.
	Dir string
}

// Lock is held by a command that changes the engine.
func (l Layout) Lock() string { return filepath.Join(l.Dir, "lock") }

// Kubeconfig works on the host.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Dir, "kubeconfig") }

// Socket leads inside; see package tunnel.
func (l Layout) Socket() string { return filepath.Join(l.Dir, "tunnel.sock") }

// State tells what is up; it is written last.
func (l Layout) State() string { return filepath.Join(l.Dir, "engine.json") }

// Manifests is where generated objects and certificates are kept.
func (l Layout) Manifests() string { return filepath.Join(l.Dir, "manifests") }

// Nodes has a directory for each node.
func (l Layout) Nodes() string { return filepath.Join(l.Dir, "nodes") }

// Volumes is a directory that every node sees at [VolumesDir]: storage that is
// the same wherever a pod runs.
func (l Layout) Volumes() string { return filepath.Join(l.Dir, "volumes") }

// VolumesDir is where nodes see the directory of volumes.
const VolumesDir = "/var/lib/engine-volumes"

// Root is what a node sees as /.
func (l Layout) Root(node string) string { return filepath.Join(l.Nodes(), node, "root") }

// Group is the name of the control group that all processes are in. It follows
// from the directory alone, so that processes are found when all files are lost.
func (l Layout) Group() string {
	sum := sha256.Sum256([]byte(l.Dir))
	return "slipway-engine-" + hex.EncodeToString(sum[:4])
}

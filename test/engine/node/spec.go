package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"slipway.dev/slipway/test/engine/cgroup"
	"slipway.dev/slipway/test/engine/network"
)

// SpecFile is where a node finds its own spec, below its root.
const SpecFile = "/etc/engine/node.json"

// LogDir is where the services' output goes, below the node's root.
const LogDir = "/var/log/engine"

// Spec says what a node is.
type Spec struct {
	// Name of the node, which is its host name too.
	Name string `json:"name"`
	// Root is the directory, seen from outside, that becomes the node's root.
	Root string `json:"root"`
	// Binds are files and directories of the host that the node sees.
	Binds []Bind `json:"binds"`
	// Settings are kernel settings, below /proc/sys, that the node's programs
	// shall find as they want them without the kernel being changed.
	Settings map[string]string `json:"settings"`
	// Hierarchies of control groups to show.
	Hierarchies []cgroup.Hierarchy `json:"hierarchies"`
	// Links gives the node its addresses.
	Links []network.Command `json:"links"`
	// Services to run.
	Services []Service `json:"services"`
	// API is the API server's address inside, for the first node.
	API string `json:"api,omitempty"`
}

// Bind shows something of the host to the node.
type Bind struct {
	// Source is the path outside.
	Source string `json:"source"`
	// Target is the path inside.
	Target string `json:"target"`
	// Writable allows changes. Nothing of the host's own is.
	Writable bool `json:"writable,omitempty"`
}

// Service is a program that runs as long as the node does.
type Service struct {
	// Name of the service and of its log.
	Name string `json:"name"`
	// Args is the command line; the first is the path inside.
	Args []string `json:"args"`
	// Env is added to the environment.
	Env []string `json:"env,omitempty"`
}

// Write puts the spec where the node finds it.
func (s Spec) Write() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode spec of %s: %w", s.Name, err)
	}
	path := filepath.Join(s.Root, SpecFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write spec of %s: %w", s.Name, err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write spec of %s: %w", s.Name, err)
	}
	return nil
}

// Read reads a spec from a file.
func Read(path string) (Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("read node's spec: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(text, &s); err != nil {
		return Spec{}, fmt.Errorf("parse node's spec %s: %w", path, err)
	}
	return s, nil
}

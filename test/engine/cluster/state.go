package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotUp is an engine that is not running.
var ErrNotUp = errors.New("the engine is not up")

// State is what a complete run is made of.
type State struct {
	// Nodes by name, the first one with the control plane.
	Nodes []string `json:"nodes"`
	// Server is the API server's URL on the host.
	Server string `json:"server"`
	// Components that were installed on Kubernetes.
	Components []string `json:"components,omitempty"`
}

// ReadState reads it, or fails with ErrNotUp.
func (l Layout) ReadState() (State, error) {
	text, err := os.ReadFile(l.State())
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, fmt.Errorf("%w in %s: run engine up", ErrNotUp, l.Dir)
	}
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return State{}, fmt.Errorf("parse state %s: %w: run engine down", l.State(), err)
	}
	return s, nil
}

// writeState says that the run is complete.
func (l Layout) writeState(s State) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return write(l.State(), append(text, '\n'), 0o644)
}

func (l Layout) pidFile(node string) string { return filepath.Join(l.Nodes(), node, "pid") }

// Process is the first process of a node that runs, as seen from the host.
func (l Layout) Process(node string) (int, error) {
	text, err := os.ReadFile(l.pidFile(node))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: there is no node %s in %s", ErrNotUp, node, l.Dir)
	}
	if err != nil {
		return 0, fmt.Errorf("find node %s: %w", node, err)
	}
	process, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("find node %s: %w", node, err)
	}
	group, err := l.group()
	if err != nil {
		return 0, err
	}
	// The number may be somebody else's by now.
	alive, err := group.Child(node).Processes()
	if err != nil {
		return 0, fmt.Errorf("find node %s: %w", node, err)
	}
	if !slices.Contains(alive, process) {
		return 0, fmt.Errorf("%w: node %s has ended; run engine down", ErrNotUp, node)
	}
	return process, nil
}

// Enter is a command that runs inside a node.
func (l Layout) Enter(node string, args ...string) (*exec.Cmd, error) {
	process, err := l.Process(node)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("nsenter", append(entering(process), args...)...)
	cmd.Env = []string{
		"PATH=" + binDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "TERM=" + os.Getenv("TERM"),
		"KUBECONFIG=" + configDir + "/admin.kubeconfig", "CONTAINERD_NAMESPACE=k8s.io",
	}
	return cmd, nil
}

func entering(process int) []string {
	return []string{"--target", strconv.Itoa(process), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wdns=/", "--"}
}

package cluster

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"

	"slipway.dev/slipway/test/engine/network"
)

//go:embed files
var files embed.FS

// places says where each of the files goes, inside.
var places = map[string]string{
	"containerd.toml": "/etc/containerd/config.toml",
	"kubelet.yaml":    "/etc/kubernetes/kubelet.yaml",
	"proxy.yaml":      "/etc/kubernetes/proxy.yaml",
	"cni.conflist":    "/etc/cni/net.d/10-engine.conflist",
	"hosts":           "/etc/hosts",
	"resolv.conf":     "/etc/resolv.conf",
	"passwd":          "/etc/passwd",
	"group":           "/etc/group",
}

// dirs are those that programs expect to find.
var dirs = map[string]os.FileMode{
	"/root": 0o700, "/home": 0o755, "/mnt": 0o755, "/opt": 0o755, "/srv": 0o755,
	"/tmp": 0o777 | os.ModeSticky, "/var/tmp": 0o777 | os.ModeSticky,
	"/var/lib/kubelet": 0o755, "/var/lib/containerd": 0o755, "/var/lib/etcd": 0o700, "/var/lib/cni": 0o755,
	"/var/log/pods": 0o755, "/var/log/containers": 0o755,
	"/etc/containerd/certs.d": 0o755, "/usr": 0o755,
}

// view is what the files are filled in with.
type view struct {
	network.Plan
	Node   network.Node
	Domain string
}

// makeRoot writes a node's root directory; what it shows of the host is mounted later.
func (l Layout) makeRoot(plan network.Plan, node network.Node) error {
	root := l.Root(node.Name)
	for dir, mode := range dirs {
		path := filepath.Join(root, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("make root of %s: %w", node.Name, err)
		}
		if err := os.Chmod(path, mode); err != nil {
			return fmt.Errorf("make root of %s: %w", node.Name, err)
		}
	}
	for name, target := range places {
		text, err := fill(name, view{Plan: plan, Node: node, Domain: network.Domain})
		if err != nil {
			return err
		}
		if err := write(filepath.Join(root, target), text, 0o644); err != nil {
			return err
		}
	}
	return linkPrograms(root)
}

func fill(name string, v view) ([]byte, error) {
	t, err := template.ParseFS(files, "files/"+name)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, v); err != nil {
		return nil, fmt.Errorf("fill in %s: %w", name, err)
	}
	return text.Bytes(), nil
}

// links of a merged /usr; hosts without one are not supported and refused by
// the preflight.
var links = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}

func linkPrograms(root string) error {
	if err := relink("../run", filepath.Join(root, "var/run")); err != nil {
		return err
	}
	for _, name := range links {
		target, err := os.Readlink("/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("link programs: /%s is not a link into /usr: %w", name, err)
		}
		if err := relink(target, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

func relink(target, path string) error {
	if err := os.Symlink(target, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link programs: %w", err)
	}
	return nil
}

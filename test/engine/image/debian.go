package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway.dev/slipway/internal/ociarchive"
)

// suite of Debian that the images are made of.
const suite = "bookworm"

// excluded is what no image needs, and what differs from one run to the next.
var excluded = []string{
	"dev", "proc", "sys", "run", "tmp", "boot", "debootstrap", "etc/machine-id", "etc/hostname", "etc/resolv.conf", "etc/passwd-", "etc/group-",
	"etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "usr/share/doc", "usr/share/man", "usr/share/info",
	"usr/share/locale", "usr/share/lintian", "var/cache", "var/lib/apt", "var/lib/dpkg/info", "var/log", "var/run", "var/lock", "var/lib/dbus/machine-id",
}

// system are the directories and links that take the place of what was left out.
var system = []ociarchive.Entry{
	ociarchive.Directory("dev", 0o755, 0, 0),
	ociarchive.Directory("proc", 0o755, 0, 0),
	ociarchive.Directory("sys", 0o755, 0, 0),
	ociarchive.Directory("run/lock", 0o755, 0, 0),
	ociarchive.Directory("tmp", os.ModeSticky|0o777, 0, 0),
	ociarchive.Directory("var/cache", 0o755, 0, 0),
	ociarchive.Directory("var/log", 0o755, 0, 0),
	// Relative: whoever looks at the image's files from outside must not be led astray.
	ociarchive.Symlink("var/run", "../run"),
	ociarchive.Symlink("var/lock", "../run/lock"),
}

// debian makes a layer of packages with all that they depend on.
func (c *Cache) debian(ctx context.Context, r Recipe) (ociarchive.Layer, error) {
	packages := slices.Sorted(slices.Values(r.Packages))
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s %q %q", suite, packages, excluded)))
	name := suite + "-" + hex.EncodeToString(sum[:])[:keyLength]
	return c.layer(ctx, name, func(path string) (ociarchive.Layer, error) {
		started := time.Now()
		layer, err := c.bootstrap(ctx, path, packages)
		if err == nil {
			c.report(Step{Image: r.Name + " (packages)", Took: time.Since(started)})
		}
		return layer, err
	})
}

func (c *Cache) bootstrap(ctx context.Context, path string, packages []string) (ociarchive.Layer, error) {
	root, err := os.MkdirTemp(c.dir, "root-")
	if err != nil {
		return ociarchive.Layer{}, fmt.Errorf("make room for packages: %w", err)
	}
	defer os.RemoveAll(root) //nolint:errcheck // the next build does not look there
	if err := debootstrap(ctx, root, packages); err != nil {
		return ociarchive.Layer{}, err
	}
	entries, err := ociarchive.Tree(root, func(name string) bool { return slices.Contains(excluded, name) })
	if err != nil {
		return ociarchive.Layer{}, err
	}
	return ociarchive.WriteLayer(path, append(entries, system...))
}

// debootstrap runs in namespaces of its own: it mounts, and what it starts may
// outlive it.
func debootstrap(ctx context.Context, root string, packages []string) error {
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--",
		"debootstrap", "--variant=minbase", "--include="+strings.Join(packages, ","), suite, root)
	// The date of a password's last change is part of the image.
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=86400", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	if output, err := cmd.CombinedOutput(); err != nil {
		// The log goes with the directory; it has the words of the package that failed.
		log, _ := os.ReadFile(filepath.Join(root, "debootstrap", "debootstrap.log"))
		return fmt.Errorf("install packages by debootstrap: %w: …%s\n…%s", err, ending(output), ending(log))
	}
	return nil
}

// ending is the last of a text, where the reason of a failure is.
func ending(text []byte) []byte {
	const most = 1500
	return text[max(0, len(text)-most):]
}

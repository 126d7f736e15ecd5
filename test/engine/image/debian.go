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

// sources of packages. Of backports only what a recipe names is taken.
var sources = []string{
	"deb http://deb.debian.org/debian " + suite + " main",
	"deb http://deb.debian.org/debian " + suite + "-backports main",
}

// merged is in every image: what takes its place elsewhere, to merge a /usr that is not, brings Perl.
const merged = "usr-is-merged"

// excluded is what no image needs, and what differs from one run to the next.
var excluded = []string{
	"dev", "proc", "sys", "run", "tmp", "boot", "etc/apt", "etc/machine-id", "etc/hostname", "etc/resolv.conf", "etc/passwd-", "etc/group-",
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
	packages, backports := slices.Sorted(slices.Values(append([]string{merged}, r.Packages...))), slices.Sorted(slices.Values(r.Backports))
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q %q %q %q", sources, packages, backports, excluded)))
	name := suite + "-" + hex.EncodeToString(sum[:])[:keyLength]
	return c.layer(ctx, name, func(path string) (ociarchive.Layer, error) {
		started := time.Now()
		layer, err := c.bootstrap(ctx, path, packages, backports)
		if err == nil {
			c.report(Step{Image: r.Name + " (packages)", Took: time.Since(started)})
		}
		return layer, err
	})
}

func (c *Cache) bootstrap(ctx context.Context, path string, packages, backports []string) (ociarchive.Layer, error) {
	dir, err := os.MkdirTemp(c.dir, "root-")
	if err != nil {
		return ociarchive.Layer{}, fmt.Errorf("make room for packages: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the next build does not look there
	choice, root := filepath.Join(dir, "preferences"), filepath.Join(dir, "root")
	if err := os.WriteFile(choice, []byte(preferences(backports)), 0o644); err != nil {
		return ociarchive.Layer{}, fmt.Errorf("choose packages: %w", err)
	}
	if err := mmdebstrap(ctx, root, choice, packages); err != nil {
		return ociarchive.Layer{}, err
	}
	entries, err := ociarchive.Tree(root, func(name string) bool { return slices.Contains(excluded, name) })
	if err != nil {
		return ociarchive.Layer{}, err
	}
	return ociarchive.WriteLayer(path, append(entries, system...))
}

// preferences have apt take the packages of some sources from backports, and nothing else.
func preferences(backports []string) string {
	if len(backports) == 0 {
		return ""
	}
	return fmt.Sprintf("Package: src:%s\nPin: release n=%s\nPin-Priority: 990\n", strings.Join(backports, " src:"), suite+"-backports")
}

// mmdebstrap runs in namespaces of its own: it mounts, and what it starts may outlive it. It reads none of the host's
// sources of packages.
func mmdebstrap(ctx context.Context, root, choice string, packages []string) error {
	args := append([]string{
		"--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "--",
		"mmdebstrap", "--mode=root", "--variant=minbase", "--include=" + strings.Join(packages, ","),
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
		"--aptopt=Dir::Etc::preferences \"" + choice + "\"", suite, root,
	}, sources...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	// The date of a password's last change is part of the image.
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=86400", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("install packages by mmdebstrap: %w: …%s", err, ending(output))
	}
	return nil
}

// ending is the last of a text, where the reason of a failure is.
func ending(text []byte) []byte {
	const most = 1500
	return text[max(0, len(text)-most):]
}

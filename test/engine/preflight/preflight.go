package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Reasons why a machine does not do.
var (
	ErrRoot    = errors.New("root is needed: namespaces, mounts and control groups are made")
	ErrMissing = errors.New("programs are missing")
	ErrSpace   = errors.New("there is too little space")
	ErrLayout  = errors.New("this system's directories are not laid out as Debian's")
)

// need is a program, or a file with a slash, and the package that brings it.
type need struct{ what, pkg string }

// toRun is what nodes run, and toBuild what images and binaries are made with.
var (
	toRun = []need{
		{"containerd", "containerd"},
		{"ctr", "containerd"},
		{"runc", "runc"},
		{"/usr/lib/cni/bridge", "containernetworking-plugins"},
		{"ip", "iproute2"},
		{"iptables", "iptables"},
		{"nft", "nftables"},
		{"conntrack", "conntrack"},
		{"nsenter", "util-linux"},
		{"mount", "mount"},
	}
	toBuild = []need{
		{"gcc", "gcc"},
		{"/usr/include/stdio.h", "libc6-dev"},
		{"/usr/include/libvirt/libvirt.h", "libvirt-dev"},
		{"pkg-config", "pkg-config"},
		{"mmdebstrap", "mmdebstrap"},
	}
)

const gibibyte = 1 << 30

// Space that is needed at least, in bytes: a first build fills Go's cache too, a further one compiles what changed.
const (
	FirstBuildSpace = 12 * gibibyte
	BuildSpace      = 3 * gibibyte
	RunSpace        = 6 * gibibyte
)

// Build says whether binaries and images can be made in a cache.
func Build(cache string) error {
	return errors.Join(root(os.Geteuid()), packages(toBuild, present), space(cache, spaceFor(cache)))
}

func spaceFor(cache string) uint64 {
	if built, err := os.ReadDir(cache); err != nil || len(built) == 0 {
		return FirstBuildSpace
	}
	return BuildSpace
}

// Run says whether nodes can run.
func Run(data string) error {
	return errors.Join(root(os.Geteuid()), packages(toRun, present), space(data, RunSpace), merged(kind))
}

func root(user int) error {
	if user != 0 {
		return fmt.Errorf("%w; run sudo -E env PATH=\"$PATH\" with this command", ErrRoot)
	}
	return nil
}

func present(what string) bool {
	if strings.HasPrefix(what, "/") {
		_, err := os.Stat(what)
		return err == nil
	}
	_, err := exec.LookPath(what)
	return err == nil
}

// packages names what is missing and how to get it.
func packages(needs []need, present func(string) bool) error {
	var names, missing []string
	for _, n := range needs {
		if present(n.what) {
			continue
		}
		names = append(names, n.what)
		if !slices.Contains(missing, n.pkg) {
			missing = append(missing, n.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w (%s): run apt-get update && apt-get install -y --no-install-recommends %s",
		ErrMissing, strings.Join(names, ", "), strings.Join(missing, " "))
}

// space looks at the file system that dir is on, or would be.
func space(dir string, least uint64) error {
	for {
		var info unix.Statfs_t
		err := unix.Statfs(dir, &info)
		if errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return fmt.Errorf("ask for the free space of %s: %w", dir, err)
		}
		return enough(dir, info.Bavail*uint64(info.Bsize), least)
	}
}

func enough(dir string, free, least uint64) error {
	if free >= least {
		return nil
	}
	return fmt.Errorf("%w: %s has %.1f GiB free, and %d GiB are needed: free some, or name another directory with --cache-dir and --data-dir",
		ErrSpace, dir, float64(free)/gibibyte, least/gibibyte)
}

// merged wants /bin to be a link into /usr, which is all that nodes see of the host's programs.
func merged(kind func(string) (fs.FileMode, error)) error {
	for _, name := range []string{"/bin", "/sbin", "/lib"} {
		mode, err := kind(name)
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		if mode.Type() != fs.ModeSymlink {
			return fmt.Errorf("%w: %s is not a link into /usr: run apt-get install usrmerge", ErrLayout, name)
		}
	}
	return nil
}

func kind(name string) (fs.FileMode, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	return info.Mode(), nil
}

// Root says whether this process may do what the engine does.
func Root() error { return root(os.Geteuid()) }

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/test/engine/cgroup"
)

// devices of the host that a node gets. /dev/kvm is not among them: guests run
// under emulation, on every machine in the same way.
var devices = []string{
	"null", "zero", "full", "random", "urandom", "tty", "kmsg", "fuse",
	"net/tun", "vhost-net", "loop-control",
}

// deviceLinks are what programs expect besides.
var deviceLinks = map[string]string{
	"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	"ptmx": "pts/ptmx",
}

// loops are the loop devices that the kernel made at its start.
const loops = 8

// makeRoot assembles the root and enters it.
func makeRoot(spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	if err := bind(spec.Root, spec.Root, true); err != nil {
		return err
	}
	steps := []func(Spec) error{mountSystem, mountDevices, showBinds, pinSettings, enter}
	for _, step := range steps {
		if err := step(spec); err != nil {
			return err
		}
	}
	return nil
}

// mountSystem mounts the kernel's file systems for the node's namespaces.
func mountSystem(spec Spec) error {
	for _, m := range []struct{ kind, target, options string }{
		{"proc", "proc", ""},
		{"sysfs", "sys", ""},
		{"tmpfs", "run", "mode=755"},
		{"tmpfs", "dev", "mode=755"},
	} {
		if err := mount(m.kind, filepath.Join(spec.Root, m.target), m.options); err != nil {
			return err
		}
	}
	return cgroup.Mount(spec.Hierarchies, filepath.Join(spec.Root, cgroup.Root))
}

func mountDevices(spec Spec) error {
	dev := filepath.Join(spec.Root, "dev")
	all := devices
	for i := range loops {
		all = append(all, fmt.Sprintf("loop%d", i))
	}
	for _, name := range all {
		if err := showDevice(dev, name); err != nil {
			return err
		}
	}
	for name, target := range deviceLinks {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("link device: %w", err)
		}
	}
	if err := mount("devpts", filepath.Join(dev, "pts"), "newinstance,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return err
	}
	if err := mount("tmpfs", filepath.Join(dev, "shm"), "mode=1777"); err != nil {
		return err
	}
	return mount("mqueue", filepath.Join(dev, "mqueue"), "")
}

// showDevice leaves out what the host has not.
func showDevice(dev, name string) error {
	source := filepath.Join("/dev", name)
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	target := filepath.Join(dev, name)
	if err := touch(target); err != nil {
		return err
	}
	return bind(source, target, true)
}

func showBinds(spec Spec) error {
	for _, b := range spec.Binds {
		target := filepath.Join(spec.Root, b.Target)
		if err := makePlace(b.Source, target); err != nil {
			return err
		}
		if err := bind(b.Source, target, b.Writable); err != nil {
			return err
		}
	}
	return nil
}

// pinSettings makes /proc/sys read-only but for the network's, which is the
// node's own, and puts a file over each setting that a program would change.
func pinSettings(spec Spec) error {
	sys := filepath.Join(spec.Root, "proc/sys")
	if err := bind(sys, sys, true); err != nil {
		return err
	}
	if err := bind(filepath.Join(sys, "net"), filepath.Join(sys, "net"), true); err != nil {
		return err
	}
	for name, value := range spec.Settings {
		source := filepath.Join(spec.Root, "run/engine/settings", strings.ReplaceAll(name, "/", "."))
		if err := touch(source); err != nil {
			return err
		}
		if err := os.WriteFile(source, []byte(value+"\n"), 0o444); err != nil {
			return fmt.Errorf("pin kernel setting %s: %w", name, err)
		}
		if err := bind(source, filepath.Join(sys, name), true); err != nil {
			return err
		}
	}
	return remountReadOnly(sys)
}

// enter makes the directory the root. The old one is stacked below and taken
// away. Mounts of containers shall be seen by the node, hence shared.
func enter(spec Spec) error {
	if err := unix.Chdir(spec.Root); err != nil {
		return fmt.Errorf("enter %s: %w", spec.Root, err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("make %s the root: %w", spec.Root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts within the node: %w", err)
	}
	return nil
}

func mount(kind, target, options string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make place for %s: %w", kind, err)
	}
	if err := unix.Mount(kind, target, kind, unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", kind, target, err)
	}
	return nil
}

func bind(source, target string, writable bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s at %s: %w", source, target, err)
	}
	if writable {
		return nil
	}
	return remountReadOnly(target)
}

func remountReadOnly(target string) error {
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", target, err)
	}
	return nil
}

// makePlace makes a directory or a file to mount on, as the source is one.
func makePlace(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("show to the node: %w", err)
	}
	if !info.IsDir() {
		return touch(target)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make place for %s: %w", source, err)
	}
	return nil
}

func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make place: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("make place: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make place: %w", err)
	}
	return nil
}

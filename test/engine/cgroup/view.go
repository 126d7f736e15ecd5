package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount shows the hierarchies below target as a control group namespace of this
// thread sees them: this process's own groups are the roots.
func Mount(hierarchies []Hierarchy, target string) error {
	for _, h := range hierarchies {
		if h.Mount != Root {
			if err := mount("tmpfs", "tmpfs", target, "mode=755"); err != nil {
				return err
			}
			break
		}
	}
	for _, h := range hierarchies {
		if err := h.mount(target); err != nil {
			return err
		}
	}
	return nil
}

func (h Hierarchy) mount(target string) error {
	name := strings.TrimPrefix(h.Mount, Root)
	dir := filepath.Join(target, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make place for control group: %w", err)
	}
	if h.V2 {
		return mount("cgroup2", "cgroup2", dir, "")
	}
	if err := mount("cgroup", "cgroup", dir, h.Options); err != nil {
		return err
	}
	return link(target, strings.TrimPrefix(name, "/"))
}

// link gives controllers that share a hierarchy the names that programs look for.
func link(target, name string) error {
	if !strings.Contains(name, ",") {
		return nil
	}
	for controller := range strings.SplitSeq(name, ",") {
		if err := os.Symlink(name, filepath.Join(target, controller)); err != nil {
			return fmt.Errorf("link controller: %w", err)
		}
	}
	return nil
}

func mount(source, kind, target, options string) error {
	if err := unix.Mount(source, target, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
		return fmt.Errorf("mount %s (%s) at %s: %w", kind, options, target, err)
	}
	return nil
}

// EnterLeaf moves this process, which must see its group as the root, out of
// the way of controllers in the unified hierarchy.
func EnterLeaf(hierarchies []Hierarchy, root string) error {
	for _, h := range hierarchies {
		if !h.V2 {
			continue
		}
		top := filepath.Join(root, strings.TrimPrefix(h.Mount, Root))
		leaf := filepath.Join(top, Leaf)
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			return fmt.Errorf("create the first process's control group: %w", err)
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("enter the first process's control group: %w", err)
		}
		if err := delegate(top); err != nil {
			return fmt.Errorf("delegate controllers: %w", err)
		}
	}
	return nil
}

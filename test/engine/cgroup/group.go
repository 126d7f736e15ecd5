package cgroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Leaf is the group of PID 1 in the unified hierarchy, where a group with
// children may hold no process itself.
const Leaf = "init"

// Group is the directories of one name in all hierarchies.
type Group struct {
	hierarchies []Hierarchy
	name        string
}

// New names a group; it need not exist.
func New(hierarchies []Hierarchy, name string) Group {
	return Group{hierarchies: hierarchies, name: name}
}

// Child is a group below this one.
func (g Group) Child(name string) Group {
	return Group{hierarchies: g.hierarchies, name: filepath.Join(g.name, name)}
}

func (g Group) dirs() []string {
	dirs := make([]string, 0, len(g.hierarchies))
	for _, h := range g.hierarchies {
		dirs = append(dirs, filepath.Join(h.Mount, g.name))
	}
	return dirs
}

// Create makes the group in each hierarchy, with all controllers.
func (g Group) Create() error {
	for _, h := range g.hierarchies {
		if err := h.create(g.name); err != nil {
			return fmt.Errorf("create control group %s in %s: %w", g.name, h.Mount, err)
		}
	}
	return nil
}

func (h Hierarchy) create(name string) error {
	dir := h.Mount
	for part := range strings.SplitSeq(name, "/") {
		if h.V2 {
			if err := delegate(dir); err != nil {
				return err
			}
		}
		parent := dir
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make directory: %w", err)
		}
		if err := inheritCPUs(parent, dir); err != nil {
			return err
		}
	}
	return nil
}

// delegate lets the groups below dir have all controllers that dir has.
func delegate(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("list controllers: %w", err)
	}
	for _, controller := range bytes.Fields(available) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), append([]byte("+"), controller...), 0)
		if err != nil {
			return fmt.Errorf("delegate %s: %w", controller, err)
		}
	}
	return nil
}

// inheritCPUs fills what a new cpuset of version 1 lacks before it takes a process.
func inheritCPUs(parent, dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := inherit(filepath.Join(parent, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("inherit %s: %w", name, err)
		}
	}
	return nil
}

// inherit copies a setting that is there and empty.
func inherit(from, to string) error {
	own, err := os.ReadFile(to)
	if errors.Is(err, fs.ErrNotExist) || len(bytes.TrimSpace(own)) > 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	value, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read the parent's: %w", err)
	}
	if len(bytes.TrimSpace(value)) == 0 {
		return nil
	}
	if err := os.WriteFile(to, value, 0); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Add moves a process into the group.
func (g Group) Add(process int) error {
	for _, dir := range g.dirs() {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(process)), 0); err != nil {
			return fmt.Errorf("move process %d into control group %s: %w", process, dir, err)
		}
	}
	return nil
}

// Exists says whether the group is in any hierarchy.
func (g Group) Exists() bool {
	return slices.ContainsFunc(g.dirs(), func(dir string) bool {
		_, err := os.Stat(dir)
		return err == nil
	})
}

// Processes are those in the group and below it.
func (g Group) Processes() ([]int, error) {
	var all []int
	for _, dir := range g.dirs() {
		found, err := processesBelow(dir)
		if err != nil {
			return nil, fmt.Errorf("list processes of control group %s: %w", dir, err)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// processesBelow forgives what disappears while it looks.
func processesBelow(dir string) ([]int, error) {
	var all []int
	for _, group := range tree(dir) {
		text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		for _, field := range strings.Fields(string(text)) {
			process, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("read process number: %w", err)
			}
			// 0 is a process of a pid namespace outside this one.
			if process > 0 {
				all = append(all, process)
			}
		}
	}
	return all, nil
}

// tree is a group's directory and all below it, parents first.
func tree(dir string) []string {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

// pause is how long Kill and Remove wait before they look again.
const pause = 50 * time.Millisecond

// Kill ends every process of the group and waits until all are gone.
func (g Group) Kill(ctx context.Context) error {
	for {
		processes, err := g.Processes()
		if err != nil || len(processes) == 0 {
			return err
		}
		for _, process := range processes {
			if err := unix.Kill(process, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d of control group %s: %w", process, g.name, err)
			}
		}
		if err := sleep(ctx); err != nil {
			return fmt.Errorf("wait for the end of processes %v of control group %s: %w", processes, g.name, err)
		}
	}
}

// Remove takes the empty group out of each hierarchy. The kernel frees a group
// a moment after its last process has ended.
func (g Group) Remove(ctx context.Context) error {
	for {
		err := g.removeOnce()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if ended := sleep(ctx); ended != nil {
			return errors.Join(err, ended)
		}
	}
}

func (g Group) removeOnce() error {
	for _, dir := range g.dirs() {
		dirs := tree(dir)
		slices.Reverse(dirs)
		for _, d := range dirs {
			if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("remove control group %s: %w", d, err)
			}
		}
	}
	return nil
}

func sleep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("give up: %w", context.Cause(ctx))
	case <-time.After(pause):
		return nil
	}
}

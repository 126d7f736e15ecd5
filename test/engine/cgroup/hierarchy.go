package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Root is where hierarchies are mounted.
const Root = "/sys/fs/cgroup"

// Hierarchy is one tree of control groups.
type Hierarchy struct {
	// Mount is where it is mounted.
	Mount string
	// V2 says that it is the unified hierarchy.
	V2 bool
	// Options select a version 1 hierarchy when it is mounted again.
	Options string
}

// Hierarchies lists those that this process sees.
func Hierarchies() ([]Hierarchy, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list control groups: %w", err)
	}
	defer f.Close()
	found, err := parse(f)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("list control groups: none is mounted below %s; mount -t cgroup2 none %s", Root, Root)
	}
	return found, nil
}

// parse reads the hierarchies out of a mountinfo(5) file.
func parse(mountinfo io.Reader) ([]Hierarchy, error) {
	var found []Hierarchy
	scanner := bufio.NewScanner(mountinfo)
	for scanner.Scan() {
		if h, ok := parseLine(scanner.Text()); ok && !slices.ContainsFunc(found, h.same) {
			found = append(found, h)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return found, nil
}

// same is a hierarchy that is mounted a second time at the same place.
func (h Hierarchy) same(other Hierarchy) bool { return h.Mount == other.Mount }

// parseLine takes the mount point from before the separator, the type and the
// superblock's options from behind it.
func parseLine(line string) (Hierarchy, bool) {
	before, after, ok := strings.Cut(line, " - ")
	if !ok {
		return Hierarchy{}, false
	}
	own, super := strings.Fields(before), strings.Fields(after)
	if len(own) < 5 || len(super) < 3 || !below(own[4]) {
		return Hierarchy{}, false
	}
	switch super[0] {
	case "cgroup2":
		return Hierarchy{Mount: own[4], V2: true}, true
	case "cgroup":
		return Hierarchy{Mount: own[4], Options: selecting(super[2])}, true
	}
	return Hierarchy{}, false
}

func below(path string) bool { return path == Root || strings.HasPrefix(path, Root+"/") }

// selecting keeps what tells one hierarchy from another.
func selecting(options string) string {
	var kept []string
	for option := range strings.SplitSeq(options, ",") {
		switch {
		case strings.HasPrefix(option, "name="):
			kept = append([]string{"none"}, append(kept, option)...)
		case !slices.Contains([]string{"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode"}, option) &&
			!strings.HasPrefix(option, "release_agent="):
			kept = append(kept, option)
		}
	}
	return strings.Join(kept, ",")
}

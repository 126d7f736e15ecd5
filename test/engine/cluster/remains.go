package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/test/engine/cgroup"
)

// remains is what is there of a run, whole or not.
type remains struct {
	// processes in the run's control groups.
	processes []int
	// groups says that there are control groups.
	groups bool
	// mounts of the host below the data directory. A run makes none; somebody
	// who looked into it may have.
	mounts []string
	// loops are loop devices that hold files of the data directory.
	loops []string
	// files are the run's own in the data directory.
	files []string
}

func (r remains) none() bool {
	return len(r.processes) == 0 && !r.groups && len(r.mounts) == 0 && len(r.loops) == 0 && len(r.files) == 0
}

// action is one thing to do about what remains.
type action struct {
	kind   actionKind
	target string
}

type actionKind string

const (
	endProcesses actionKind = "end processes"
	unmount      actionKind = "unmount"
	detachLoop   actionKind = "detach loop device"
	removeGroups actionKind = "remove control groups"
	removeFile   actionKind = "remove"
)

// cleaning orders what has to be done: nothing is taken away from under a
// process, and no file from under a mount or a loop device.
func cleaning(r remains) []action {
	var actions []action
	if len(r.processes) > 0 {
		actions = append(actions, action{kind: endProcesses})
	}
	for _, mount := range deepestFirst(r.mounts) {
		actions = append(actions, action{unmount, mount})
	}
	for _, loop := range r.loops {
		actions = append(actions, action{detachLoop, loop})
	}
	if r.groups {
		actions = append(actions, action{kind: removeGroups})
	}
	for _, file := range r.files {
		actions = append(actions, action{removeFile, file})
	}
	return actions
}

// deepestFirst keeps a mount before the one that it is in, and the younger of
// two at one place before the older.
func deepestFirst(mounts []string) []string {
	ordered := slices.Clone(mounts)
	slices.Reverse(ordered)
	slices.SortStableFunc(ordered, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return ordered
}

// observe looks for what remains.
func (l Layout) observe(group cgroup.Group) (remains, error) {
	processes, err := group.Processes()
	if err != nil {
		return remains{}, fmt.Errorf("look for processes: %w", err)
	}
	mounts, err := l.mounts()
	if err != nil {
		return remains{}, err
	}
	loops, err := l.loops()
	if err != nil {
		return remains{}, err
	}
	return remains{processes: processes, groups: group.Exists(), mounts: mounts, loops: loops, files: l.files()}, nil
}

// files are the run's own entries that are there.
func (l Layout) files() []string {
	var found []string
	for _, path := range []string{l.State(), l.Kubeconfig(), l.Socket(), l.Manifests(), l.Nodes(), l.Volumes()} {
		if _, err := os.Lstat(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

func (l Layout) mounts() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for mounts: %w", err)
	}
	defer f.Close()
	return mountsBelow(f, l.Dir)
}

// mountsBelow lists the mount points of a mountinfo(5) file below a directory.
func mountsBelow(mountinfo io.Reader, dir string) ([]string, error) {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	scanner := bufio.NewScanner(mountinfo)
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return found, nil
}

// loops finds the loop devices that hold files of the nodes. A node knows its
// files by paths below its own root, and so may the kernel.
func (l Layout) loops() ([]string, error) {
	attached, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, fmt.Errorf("look for loop devices: %w", err)
	}
	roots, err := filepath.Glob(filepath.Join(l.Nodes(), "*", "root"))
	if err != nil {
		return nil, fmt.Errorf("look for loop devices: %w", err)
	}
	var found []string
	for _, path := range attached {
		device := "/dev/" + strings.Split(path, "/")[3]
		backing, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for loop devices: %w", err)
		}
		if l.owns(device, strings.TrimSpace(string(backing)), roots) {
			found = append(found, device)
		}
	}
	return found, nil
}

func (l Layout) owns(device, backing string, roots []string) bool {
	if strings.HasPrefix(backing, l.Dir+"/") {
		return true
	}
	f, err := os.Open(device)
	if err != nil {
		return false
	}
	defer f.Close()
	status, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return false
	}
	places := []string{filepath.Join(l.Volumes(), strings.TrimPrefix(backing, VolumesDir))}
	for _, root := range roots {
		places = append(places, filepath.Join(root, backing))
	}
	return slices.ContainsFunc(places, func(place string) bool {
		var info unix.Stat_t
		err := unix.Stat(place, &info)
		return err == nil && info.Ino == status.Inode && info.Dev == status.Device
	})
}

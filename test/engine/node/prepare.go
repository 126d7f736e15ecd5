package node

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/test/engine/cgroup"
)

// Prepare is the first life of a node's first process. It waits for the
// launcher, makes the root and then becomes [Run]; it returns only to fail.
func Prepare(path string) error {
	// The control group namespace belongs to the thread, and so does the exec
	// that makes it the process's.
	runtime.LockOSThread()
	spec, err := Read(path)
	if err != nil {
		return err
	}
	if err := waitForGo(); err != nil {
		return err
	}
	if err := become(spec); err != nil {
		tell(err)
		return err
	}
	return nil
}

func become(spec Spec) error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("enter a control group namespace: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set the node's name: %w", err)
	}
	if err := makeRoot(spec); err != nil {
		return fmt.Errorf("make the root of %s: %w", spec.Name, err)
	}
	if err := cgroup.EnterLeaf(spec.Hierarchies, cgroup.Root); err != nil {
		return err
	}
	// The link leads to the program although its path is outside the root.
	if err := unix.Exec("/proc/self/exe", []string{"engine", RunCommand}, os.Environ()); err != nil {
		return fmt.Errorf("go on as the node's first process: %w", err)
	}
	return nil
}

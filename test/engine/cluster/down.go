package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/test/engine/cgroup"
	"slipway.dev/slipway/test/engine/lock"
)

// endPatience is how long killed processes and emptied groups may take to go.
const endPatience = time.Minute

// mostRounds of cleaning: the second is for what the first one uncovered.
const mostRounds = 3

// ErrBusy is a data directory that another command works on.
var ErrBusy = errors.New("another engine command is at work")

// Down ends a run and removes all that it made. It says whether anything was there.
func Down(ctx context.Context, l Layout) (bool, error) {
	release, err := l.take()
	if errors.Is(err, os.ErrNotExist) {
		return l.clean(ctx)
	}
	if err != nil {
		return false, err
	}
	defer release()
	found, err := l.clean(ctx)
	if err != nil {
		return found, err
	}
	if err := os.Remove(l.Lock()); err != nil {
		return found, fmt.Errorf("remove the lock file: %w", err)
	}
	// Whatever else somebody put there stays.
	if err := os.Remove(l.Dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return found, fmt.Errorf("remove the data directory: %w", err)
	}
	return found, nil
}

// take locks the data directory against other commands.
func (l Layout) take() (func(), error) {
	release, err := lock.Try(l.Lock())
	if errors.Is(err, lock.ErrHeld) {
		return nil, fmt.Errorf("%w on %s: wait for it, or end it", ErrBusy, l.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.Dir, err)
	}
	return release, nil
}

// group is the control group of everything that runs.
func (l Layout) group() (cgroup.Group, error) {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return cgroup.Group{}, fmt.Errorf("find control groups: %w", err)
	}
	return cgroup.New(hierarchies, l.Group()), nil
}

// clean looks, acts and looks again until nothing remains.
func (l Layout) clean(ctx context.Context) (found bool, err error) {
	group, err := l.group()
	if err != nil {
		return false, err
	}
	for range mostRounds {
		left, err := l.observe(group)
		if err != nil || left.none() {
			return found, err
		}
		found = true
		if err := l.perform(ctx, group, cleaning(left)); err != nil {
			return found, err
		}
	}
	left, err := l.observe(group)
	if err == nil && !left.none() {
		err = fmt.Errorf("clean %s: something comes back: %+v", l.Dir, left)
	}
	return found, err
}

// stop ends a run but keeps its files, for somebody to read the logs.
func (l Layout) stop(ctx context.Context) error {
	group, err := l.group()
	if err != nil {
		return err
	}
	left, err := l.observe(group)
	if err != nil {
		return err
	}
	left.files = nil
	return l.perform(ctx, group, cleaning(left))
}

func (l Layout) perform(ctx context.Context, group cgroup.Group, actions []action) error {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for _, a := range actions {
		if err := act(ctx, group, a); err != nil {
			return fmt.Errorf("%s %s: %w", a.kind, a.target, err)
		}
	}
	return nil
}

func act(ctx context.Context, group cgroup.Group, a action) error {
	switch a.kind {
	case endProcesses:
		return group.Kill(ctx)
	case unmount:
		if err := unix.Unmount(a.target, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("let go of it: %w", err)
		}
	case detachLoop:
		return detach(a.target)
	case removeGroups:
		return group.Remove(ctx)
	case removeFile:
		if err := os.RemoveAll(a.target); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

// detach forgives a device that let go of its file by itself.
func detach(device string) error {
	f, err := os.Open(device)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("let go of the file: %w", err)
	}
	return nil
}

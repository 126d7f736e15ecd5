// Package lock lets one process at a time have a directory.
//
// In comes the path of a lock file, out goes a function that gives it back. The kernel takes the lock away from a
// process that ends, however it ends. The package never removes the file.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHeld is a lock that another process has.
var ErrHeld = errors.New("held by another process")

// retryEvery is how often Wait asks.
const retryEvery = 200 * time.Millisecond

// Try takes the lock, or fails with [ErrHeld].
func Try(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, ErrHeld)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// Wait takes the lock as soon as nobody else has it.
func Wait(ctx context.Context, path string) (release func(), err error) {
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		release, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

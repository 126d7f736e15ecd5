package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxLockText is far more than a lock file holds.
const maxLockText = 4096

// holder is what the lock file says about the process that serves a directory.
type holder struct {
	PID    int `json:"pid"`
	Parent int `json:"parent"`
}

// Running tells which process serves a data directory; 0 when none does. The
// answer is the kernel's, which knows who holds the lock, and so cannot be a
// number left over from a process that was killed.
func Running(dir string) (pid int, err error) {
	h, err := currentHolder(dir)
	if err != nil || h == nil {
		return 0, err
	}
	return h.PID, nil
}

// currentHolder returns nil when no process serves the directory.
func currentHolder(dir string) (*holder, error) {
	file, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open lock of %s: %w", dir, err)
	}
	defer file.Close()
	query := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &query); err != nil {
		return nil, fmt.Errorf("ask who holds the lock of %s: %w", dir, err)
	}
	if query.Type == unix.F_UNLCK {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(file, maxLockText))
	if err != nil {
		return nil, fmt.Errorf("read lock of %s: %w", dir, err)
	}
	h := parseHolder(text)
	// The kernel names no process when the lock belongs to an open file.
	if query.Pid > 0 {
		h.PID = int(query.Pid)
	}
	return &h, nil
}

// parseHolder takes a text that is still being written for a holder without a
// parent; the caller has the process number from the kernel.
func parseHolder(text []byte) holder {
	var h holder
	if err := json.Unmarshal(text, &h); err != nil {
		return holder{}
	}
	return h
}

// alive says whether a process exists.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrRunning says that another process holds the data directory.
var ErrRunning = errors.New("a platform already runs on this data directory")

// lock takes the data directory for this process until the file is closed. The
// kernel drops it with the process, so a killed one leaves nothing behind.
func lock(l Layout) (*os.File, error) {
	path := pidFile(l)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		pid, _ := RunningPID(l)
		return nil, fmt.Errorf("%w: %s, process %d; stop it with `slipway down --data-dir %s` or name another --data-dir", ErrRunning, l.Root, pid, l.Root)
	}
	if err := writePID(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	return nil
}

// RunningPID is the process that runs the platform of a data directory; false
// when none does.
func RunningPID(l Layout) (int, bool) {
	file, err := os.Open(pidFile(l))
	if err != nil {
		return 0, false
	}
	defer file.Close()
	if unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return 0, false
	}
	text, err := os.ReadFile(pidFile(l))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil
}

func pidFile(l Layout) string { return filepath.Join(l.Run(), "slipway.pid") }

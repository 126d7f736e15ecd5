package kube

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// awaitEnd returns when the process has ended. The kernel tells: nothing runs
// until then. The caller says whether the number still names the process that it
// means; it is asked once the process can no longer be mistaken for another.
func awaitEnd(pid int, meant func() bool) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	file := os.NewFile(uintptr(fd), "process")
	defer file.Close()
	if !meant() {
		return nil
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	if err := conn.Read(over); err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	return nil
}

// over says whether the process behind a descriptor has ended.
func over(fd uintptr) bool {
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && ready > 0
}

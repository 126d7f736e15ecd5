package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Binary is the program that runs guests.
const Binary = "qemu-system-x86_64"

// ErrExited says that QEMU ended before its monitor answered; the error's text holds its last words.
var ErrExited = errors.New("QEMU ended at its start")

// Process names a running QEMU beyond doubt: process ids are used again, a start time in one boot is not.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
	Boot  string `json:"boot"`  // the kernel's boot id
}

// Logs are the files that a process writes without anybody's help.
type Logs struct {
	Events   string // the monitor's events, one JSON object a line
	Messages string // what QEMU prints
}

// hello switches the second monitor to command mode, from where on it logs every event.
const hello = `{"execute":"qmp_capabilities"}` + "\n"

// Start runs QEMU in a session of its own, so that it outlives the caller and no terminal signal reaches it.
// The caller is told of the end of the process by Watch or Alive.
func Start(args []string, logs Logs) (Process, error) {
	cmd := exec.Command(Binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	closeFiles, err := connect(cmd, logs)
	if err != nil {
		return Process{}, fmt.Errorf("start %s: %w", Binary, err)
	}
	defer closeFiles()
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", Binary, err)
	}
	process, err := identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // reaps it, as long as the caller lives
	if err != nil {
		return Process{}, fmt.Errorf("start %s: %w", Binary, errors.Join(ErrExited, LastWords(logs.Messages)))
	}
	return process, nil
}

// connect gives the process its standard streams: the greeting of the log's monitor, the log, the messages.
func connect(cmd *exec.Cmd, logs Logs) (closeFiles func(), err error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	_, err = out.WriteString(hello)
	_ = out.Close()
	events, errEvents := os.OpenFile(logs.Events, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	messages, errMessages := os.OpenFile(logs.Messages, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	closeFiles = func() {
		_ = in.Close()
		_ = events.Close()
		_ = messages.Close()
	}
	if err := errors.Join(err, errEvents, errMessages); err != nil {
		closeFiles()
		return nil, fmt.Errorf("open logs: %w", err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, events, messages
	return closeFiles, nil
}

func identify(pid int) (Process, error) {
	start, state, err := stat(pid)
	if err != nil {
		return Process{}, err
	}
	if gone(state) {
		return Process{}, fmt.Errorf("process %d has ended", pid)
	}
	return Process{PID: pid, Start: start, Boot: BootID()}, nil
}

// Listening finds the process that listens on a Unix socket.
func Listening(socket string) (Process, bool) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return Process{}, false
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return Process{}, false
	}
	var peer *unix.Ucred
	err = raw.Control(func(fd uintptr) { peer, _ = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || peer == nil {
		return Process{}, false
	}
	process, err := identify(int(peer.Pid))
	return process, err == nil
}

// BootID names the running boot of the host.
func BootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// Alive says whether exactly this process still runs.
func (p Process) Alive() bool {
	if p.PID <= 0 || p.Boot != BootID() {
		return false
	}
	start, state, err := stat(p.PID)
	return err == nil && start == p.Start && !gone(state)
}

func gone(state byte) bool { return state == 'Z' || state == 'X' }

// Kill ends the process at once.
func (p Process) Kill() error {
	if !p.Alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill QEMU process %d: %w", p.PID, err)
	}
	return nil
}

// Wait returns when the process has ended, be it the caller's child or not.
func (p Process) Wait(ctx context.Context) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil || !p.Alive() {
		if err == nil {
			_ = unix.Close(fd)
		}
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	const slice = 200 * time.Millisecond // how late a cancellation may be noticed
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(slice.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for QEMU process %d: %w", p.PID, err)
		}
		if n > 0 {
			return nil
		}
	}
	return fmt.Errorf("wait for QEMU process %d: %w", p.PID, ctx.Err())
}

// stat reads the start time and the state of a process. The command's name in the line may hold anything, even
// parentheses, so that fields are counted from the last one.
func stat(pid int) (start uint64, state byte, err error) {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0, err //nolint:wrapcheck // names the file
	}
	return parseStat(string(line))
}

func parseStat(line string) (start uint64, state byte, err error) {
	const afterState = 19 // fields between the state (3rd) and the start time (22nd)
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= afterState {
		return 0, 0, fmt.Errorf("process status %q is too short", line)
	}
	start, err = strconv.ParseUint(fields[afterState], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("start time in process status: %w", err)
	}
	return start, fields[0][0], nil
}

// LastWords is the end of QEMU's messages as an error, or nil when it printed none.
func LastWords(messages string) error {
	text, err := os.ReadFile(messages)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const kept = 3
	last := strings.TrimSpace(strings.Join(lines[max(0, len(lines)-kept):], "; "))
	if last == "" {
		return nil
	}
	return errors.New(strings.ReplaceAll(last, Binary+": ", ""))
}

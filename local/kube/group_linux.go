package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// group is a control plane of several processes.
type group struct {
	lock, log *os.File
	// sockets is a short path for Unix sockets, and the working directory.
	sockets string
	// starter runs on one thread as long as the group does: the kernel ends
	// the children when the thread that started them ends.
	starter *starter
	members []*member
	// ephemeral is the data directory when it is to be deleted at the end.
	ephemeral string
	closing   sync.Once
	ended     chan struct{}
}

// member is one process of a group.
type member struct {
	command *exec.Cmd
	ended   chan struct{}
	result  error
}

func newGroup(o Options) (*group, error) {
	lock, err := holdLock(filepath.Join(o.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	log, err := openLog(o.logFile())
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	sockets, err := os.MkdirTemp("", "slipway-")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create socket directory: %w", err), log.Close(), lock.Close())
	}
	g := &group{lock: lock, log: log, sockets: sockets, starter: newStarter(), ended: make(chan struct{})}
	if o.Ephemeral {
		g.ephemeral = o.Dir
	}
	if err := g.removeWithParent(); err != nil {
		g.close(context.Background())
		return nil, err
	}
	return g, nil
}

// holdLock takes the directory's lock in this process's name. The lock belongs
// to the open file, unlike the one of slipway-controlplane, because this
// process may open the file again only to ask who holds it.
func holdLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w: %w", path, ErrInUse, err), file.Close())
	}
	if _, err := fmt.Fprintf(file, `{"pid":%d,"parent":%d}`, os.Getpid(), os.Getpid()); err != nil {
		return nil, errors.Join(fmt.Errorf("write lock: %w", err), file.Close())
	}
	return file, nil
}

// removeWithParent leaves a process behind that deletes what is temporary once
// this process has ended, when that is before the group was stopped.
func (g *group) removeWithParent() error {
	leftover := []string{g.sockets}
	if g.ephemeral != "" {
		leftover = append(leftover, g.ephemeral)
	}
	const script = `cat >/dev/null; sleep 1; rm -rf -- "$@"`
	command := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, leftover...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	leash, err := command.StdinPipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the process that cleans up: %w", err)
	}
	go func() {
		<-g.ended
		// What this process removed itself may be somebody else's by now.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		leash.Close()
		_ = command.Wait()
	}()
	return nil
}

// launch starts a process that gets the signal when this process ends.
func (g *group) launch(path string, args []string, atParentsEnd syscall.Signal) error {
	m := &member{command: exec.Command(path, args...), ended: make(chan struct{})}
	m.command.Dir = g.sockets
	m.command.Stdout, m.command.Stderr = g.log, g.log
	m.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: atParentsEnd}
	if err := g.starter.start(m.command); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	g.members = append(g.members, m)
	go func() {
		defer close(m.ended)
		m.result = m.command.Wait()
	}()
	return nil
}

// waitReady asks the API server until it answers.
func (g *group) waitReady(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	for !answers(ctx, o.Dir) {
		for _, m := range g.members {
			if m.over() {
				return fmt.Errorf("%s ended: %w%s", m.command.Path, m.result, logTail(o.logFile()))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until it answers: %w%s", context.Cause(ctx), logTail(o.logFile()))
		case <-time.After(pollEvery):
		}
	}
	return nil
}

func (m *member) over() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// watch ends the group when a member ends by itself.
func (g *group) watch() {
	for _, m := range g.members {
		go func() {
			<-m.ended
			g.close(context.Background())
		}()
	}
}

func (g *group) pid() int              { return os.Getpid() }
func (g *group) done() <-chan struct{} { return g.ended }

func (g *group) stop(ctx context.Context) error {
	g.close(ctx)
	<-g.ended
	return nil
}

// close ends the members, the last one started first, and tidies up.
func (g *group) close(ctx context.Context) {
	g.closing.Do(func() {
		defer close(g.ended)
		for _, m := range slices.Backward(g.members) {
			m.terminate(ctx)
		}
		g.starter.close()
		// A leftover is the cleaning process's next try.
		_ = os.RemoveAll(g.sockets)
		if g.ephemeral != "" {
			_ = os.RemoveAll(g.ephemeral)
		}
		g.log.Close()
		g.lock.Close()
	})
}

// terminate asks the process to end, and ends it when it does not.
func (m *member) terminate(ctx context.Context) {
	_ = m.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
		return
	case <-ctx.Done():
	case <-time.After(stopGrace):
	}
	_ = m.command.Process.Kill()
	<-m.ended
}

// starter starts processes from one thread of the operating system.
type starter struct {
	commands chan *exec.Cmd
	results  chan error
}

func newStarter() *starter {
	s := &starter{commands: make(chan *exec.Cmd), results: make(chan error)}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for command := range s.commands {
			s.results <- command.Start()
		}
	}()
	return s
}

func (s *starter) start(command *exec.Cmd) error {
	s.commands <- command
	return <-s.results
}

// close gives the thread back; no process may be left that it started.
func (s *starter) close() { close(s.commands) }

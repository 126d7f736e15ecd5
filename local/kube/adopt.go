package kube

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often this package looks at what it cannot wait for, such as
// an API server that starts.
const pollEvery = 50 * time.Millisecond

// adopt takes over the control plane that serves the directory; nil when there
// is none. One that belongs to a process that has gone is about to end, and is
// waited for; one that belongs to a living process is left alone.
func adopt(ctx context.Context, o Options) (process, error) {
	h, err := currentHolder(o.Dir)
	if err != nil || h == nil {
		return nil, err
	}
	switch {
	case h.Parent == 0:
		return takeOver(ctx, o, h.PID)
	case alive(h.Parent):
		return nil, fmt.Errorf("process %d runs one for process %d: %w: stop that first, or choose another directory", h.PID, h.Parent, ErrInUse)
	}
	o.Progress("wait for the last control plane to end")
	a := follow(o.Dir, h.PID)
	return nil, a.wait(ctx, stopGrace)
}

// takeOver waits until a running control plane proves to be the directory's
// own: it answers under the directory's certificate authority.
func takeOver(ctx context.Context, o Options, pid int) (process, error) {
	o.Progress(fmt.Sprintf("take over the running control plane (process %d)", pid))
	a := follow(o.Dir, pid)
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if answers(ctx, o.Dir) {
			return a, nil
		}
		select {
		case <-a.ended:
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("process %d does not answer: %w: end it and start again; its log is %s", pid, context.Cause(ctx), o.logFile())
		case <-tick.C:
		}
	}
}

// answers says whether the API server of the directory is ready.
func answers(ctx context.Context, dir string) bool {
	config, err := LoadConfig(dir)
	if err != nil {
		return false
	}
	return ready(ctx, config)
}

// adopted is a control plane that is not a child of this process.
type adopted struct {
	dir    string
	number int
	ended  chan struct{}
}

// follow waits, in the background, for the end of the process that serves the
// directory.
func follow(dir string, pid int) *adopted {
	a := &adopted{dir: dir, number: pid, ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		holds := func() bool {
			now, err := Running(dir)
			return err == nil && now == pid
		}
		if err := awaitEnd(pid, holds); err != nil {
			lookUntil(func() bool { return !holds() })
		}
	}()
	return a
}

// lookUntil is for systems whose kernel does not tell of the end of a process
// that is not a child.
func lookUntil(done func() bool) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done() {
		<-tick.C
	}
}

func (a *adopted) pid() int              { return a.number }
func (a *adopted) done() <-chan struct{} { return a.ended }

func (a *adopted) stop(ctx context.Context) error {
	return terminate(ctx, a, func(s os.Signal) error { return a.signal(s) })
}

// signal looks at the lock once more, so that it hits the control plane and
// not a stranger that got its number since.
func (a *adopted) signal(s os.Signal) error {
	pid, err := Running(a.dir)
	if err != nil || pid != a.number {
		return err
	}
	number, ok := s.(unix.Signal)
	if !ok {
		return fmt.Errorf("send %v: not a signal of this system", s)
	}
	if err := unix.Kill(pid, number); err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

func (a *adopted) wait(ctx context.Context, grace time.Duration) error {
	select {
	case <-a.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for process %d: %w", a.number, context.Cause(ctx))
	case <-time.After(grace):
		return fmt.Errorf("process %d still runs after %s: end it, then start again", a.number, grace)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"slipway.dev/slipway/local/platform"
)

// detach starts this program again in a session of its own, without --detach and
// --wait, shows what it prints until the platform is ready, and leaves it.
func detach(ctx context.Context, g *globals, out io.Writer, o upOptions) error {
	child, err := startDetached(o.Layout)
	if err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- child.Wait() }()
	ready, err := platform.WaitReady(ctx, o.Layout, child.Process.Pid, exited, newProgress(out))
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	writeAddresses(out, ready)
	fmt.Fprintf(out, "Process %d goes on in the background and writes %s; `slipway down` stops it.\n", child.Process.Pid, o.Layout.Log())
	if !o.wait {
		return nil
	}
	c, err := g.connect()
	if err != nil {
		return err
	}
	return waitEnvironment(ctx, out, c, ready, o.timeout)
}

func startDetached(l platform.Layout) (*exec.Cmd, error) {
	if err := os.MkdirAll(l.Run(), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	log, err := os.OpenFile(l.Log(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return arg == "--detach" || arg == "--detach=true" || arg == "--wait" || arg == "--wait=true"
	})
	child := exec.Command(self, args...)
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start in the background: %w", err)
	}
	return child, nil
}

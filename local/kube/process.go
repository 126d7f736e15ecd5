package kube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

// tailLines is how much of the log an error carries.
const tailLines = 12

// program is something that serves a control plane when started.
type program interface {
	fmt.Stringer
	start(ctx context.Context, o Options) (process, error)
}

// binary is the path of a slipway-controlplane.
type binary string

// String implements fmt.Stringer.
func (b binary) String() string { return string(b) }

// start runs the program and waits for its ready line.
func (b binary) start(ctx context.Context, o Options) (process, error) {
	c, err := b.spawn(o)
	if err != nil {
		return nil, err
	}
	if err := c.waitReady(ctx, o); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

// child is a control plane that this process started.
type child struct {
	command *exec.Cmd
	// leash ends the child when it is closed, as it is when this process
	// ends. It is kept here so that it is not collected.
	leash *os.File
	// out is the child's standard output: one line, when it is ready.
	out    *os.File
	ended  chan struct{}
	result error
}

func (b binary) spawn(o Options) (*child, error) {
	log, err := openLog(o.logFile())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	in, leash, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer in.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pipe: %w", err), leash.Close())
	}
	defer childOut.Close()

	c := &child{command: exec.Command(string(b), arguments(o)...), leash: leash, out: out, ended: make(chan struct{})}
	c.command.Stdin, c.command.Stdout, c.command.Stderr = in, childOut, log
	// Ctrl-C in a terminal reaches the whole process group. The control plane
	// must outlive the controllers, which need it to stop cleanly.
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("run %s: %w", b, err), leash.Close(), out.Close())
	}
	go c.reap()
	return c, nil
}

func arguments(o Options) []string {
	args := []string{"--dir=" + o.Dir, "--port=" + strconv.Itoa(o.Port)}
	if !o.Detached {
		args = append(args, "--stop-with-parent")
	}
	if o.Ephemeral {
		args = append(args, "--unsafe-no-fsync", "--remove-data-on-exit")
	}
	return args
}

// openLog starts a new log and keeps the last one beside it.
func openLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keep the last log: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return file, nil
}

// reap waits for the child and lets go of what belonged to it.
func (c *child) reap() {
	defer close(c.ended)
	c.result = c.command.Wait()
	c.leash.Close()
}

// waitReady returns when the child printed its ready line.
func (c *child) waitReady(ctx context.Context, o Options) error {
	line := make(chan error, 1)
	go func() { line <- firstLine(c.out) }()
	select {
	case err := <-line:
		if err == nil {
			return nil
		}
		// Its output ended, so it is ending.
		<-c.ended
		return fmt.Errorf("it ended: %w%s", c.result, logTail(o.logFile()))
	case <-ctx.Done():
		return fmt.Errorf("wait until it answers: %w", context.Cause(ctx))
	case <-time.After(o.StartTimeout):
		return fmt.Errorf("it does not answer after %s%s", o.StartTimeout, logTail(o.logFile()))
	}
}

func firstLine(out io.ReadCloser) error {
	defer out.Close()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("read ready line: %w", err)
	}
	return nil
}

func (c *child) pid() int              { return c.command.Process.Pid }
func (c *child) done() <-chan struct{} { return c.ended }

func (c *child) stop(ctx context.Context) error { return terminate(ctx, c, c.signal) }

func (c *child) kill() error {
	err := c.signal(syscall.SIGKILL)
	<-c.ended
	return err
}

func (c *child) signal(s os.Signal) error {
	if err := c.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", c.pid(), err)
	}
	return nil
}

// terminate asks a process to end, and ends it when it does not.
func terminate(ctx context.Context, p process, signal func(os.Signal) error) error {
	if err := signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done():
		return nil
	case <-ctx.Done():
	case <-time.After(stopGrace):
	}
	if err := signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done()
	return nil
}

// ready asks an API server whether it is.
func ready(ctx context.Context, config *rest.Config) bool {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return false
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func (o Options) logFile() string { return filepath.Join(o.Dir, logFile) }

// logTail returns the end of a log, for an error message.
func logTail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return fmt.Sprintf("; the end of its log %s:\n  %s", path, strings.Join(lines, "\n  "))
}

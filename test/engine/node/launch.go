package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Names of the two hidden commands that a program which launches nodes has to
// have: they call [Prepare] and [Run].
const (
	PrepareCommand = "node-prepare"
	RunCommand     = "node-run"
)

// What the first process of a node inherits.
const (
	fdGo = 3 + iota
	fdReport
	fdAPI
	fdTunnel
)

// Listeners are sockets of the host that lead into the first node.
type Listeners struct {
	// API leads to the API server.
	API *os.File
	// Tunnel leads to any address inside.
	Tunnel *os.File
}

// Process is the first process of a node that was launched.
type Process struct {
	// PID is its number outside.
	PID    int
	cmd    *exec.Cmd
	start  *os.File
	report *os.File
}

// namespaces that a node does not share with the host. That of control groups
// is entered later: it begins where the process is, and it has to be moved first.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// Launch starts the first process of a node, which waits for Go. A node whose
// launching process ends before Go ends too.
func Launch(executable string, spec Spec, listeners Listeners) (*Process, error) {
	startRead, startWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("launch %s: %w", spec.Name, err)
	}
	defer startRead.Close()
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		startWrite.Close()
		return nil, fmt.Errorf("launch %s: %w", spec.Name, err)
	}
	defer reportWrite.Close()
	cmd, log, err := firstCommand(executable, spec)
	if err != nil {
		startWrite.Close()
		reportRead.Close()
		return nil, fmt.Errorf("launch %s: %w", spec.Name, err)
	}
	defer log.Close()
	cmd.ExtraFiles = []*os.File{startRead, reportWrite, listeners.API, listeners.Tunnel}
	if err := cmd.Start(); err != nil {
		startWrite.Close()
		reportRead.Close()
		return nil, fmt.Errorf("launch %s in namespaces of its own: %w", spec.Name, err)
	}
	return &Process{PID: cmd.Process.Pid, cmd: cmd, start: startWrite, report: reportRead}, nil
}

func firstCommand(executable string, spec Spec) (*exec.Cmd, *os.File, error) {
	dir := filepath.Join(spec.Root, LogDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("create log directory: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "init.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	cmd := exec.Command(executable, PrepareCommand, "--spec", filepath.Join(spec.Root, SpecFile))
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	return cmd, log, nil
}

// report is what a node tells when it is ready, or why it is not.
type report struct {
	Error string `json:"error,omitempty"`
}

// Go lets the node go on, and waits until its services were started.
func (p *Process) Go(ctx context.Context) error {
	defer p.start.Close()
	defer p.report.Close()
	if _, err := p.start.Write([]byte{'\n'}); err != nil {
		return fmt.Errorf("tell the node to go on: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { p.report.Close() })
	defer stop()
	var r report
	err := json.NewDecoder(bufio.NewReader(p.report)).Decode(&r)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("wait for the node: %w", context.Cause(ctx))
	case errors.Is(err, io.EOF):
		return errors.New("the node's first process ended without a word")
	case err != nil:
		return fmt.Errorf("wait for the node: %w", err)
	case r.Error != "":
		return errors.New(r.Error)
	}
	return nil
}

// End ends a node that did not go on yet.
func (p *Process) End() error {
	p.start.Close()
	p.report.Close()
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("end the node's process: %w", err)
	}
	// What it says at its end is of no interest: it was killed.
	_ = p.cmd.Wait()
	return nil
}

// Release forgets the process, which goes on.
func (p *Process) Release() error {
	if err := p.cmd.Process.Release(); err != nil {
		return fmt.Errorf("release the node's process: %w", err)
	}
	return nil
}

// waitForGo returns when the launcher said so, and fails when it ended instead.
func waitForGo() error {
	pipe := os.NewFile(fdGo, "go")
	defer pipe.Close()
	if _, err := pipe.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("wait for the launcher: %w", err)
	}
	return nil
}

// tell reports to the launcher, once.
func tell(failure error) {
	pipe := os.NewFile(fdReport, "report")
	defer pipe.Close()
	var r report
	if failure != nil {
		r.Error = failure.Error()
	}
	if text, err := json.Marshal(r); err == nil {
		_, _ = pipe.Write(append(text, '\n'))
	}
}

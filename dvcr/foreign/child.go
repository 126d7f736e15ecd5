package foreign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// decoder is the program that knows the formats; Debian has it in qemu-utils.
const decoder = "qemu-nbd"

// child is a running decoder.
type child struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	stderr *tail
	err    error // how it ended; read after done
}

// start runs the decoder in a sandbox. It answers on the socket soon after.
func start(ctx context.Context, in input, socket string, l Limits) (*child, error) {
	program, err := exec.LookPath(decoder)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not installed on this machine: install qemu-utils, or convert the image to qcow2 first", ErrUnavailable, decoder)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &child{cancel: cancel, done: make(chan struct{}), stderr: &tail{}}
	started := make(chan error)
	go c.run(func() (*exec.Cmd, error) {
		return startConfined(func() *exec.Cmd { return command(ctx, program, in, socket, c.stderr) }, l)
	}, started)
	if err := <-started; err != nil {
		cancel()
		return nil, fmt.Errorf("%w: start %s: %w", ErrUnavailable, decoder, err)
	}
	return c, nil
}

// run starts the child and waits for its end on one thread: the kernel kills the child when the thread that started it ends,
// and only that thread may set the child's limits before its first instruction.
func (c *child) run(begin func() (*exec.Cmd, error), started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	cmd, err := begin()
	started <- err
	if err == nil {
		c.err = cmd.Wait()
	}
}

// confinements are the namespaces to put a child into, best first. One of its own for users takes all rights over this
// machine from it, even from root's child, and lets others have a network namespace at all; where the kernel forbids that,
// root still takes the network away. What remains for others is what surrounds this process, such as a pod.
func confinements() []uintptr {
	all := []uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC}
	if os.Geteuid() == 0 {
		all = append(all, unix.CLONE_NEWNET|unix.CLONE_NEWIPC)
	}
	return append(all, 0)
}

func startConfined(command func() *exec.Cmd, l Limits) (cmd *exec.Cmd, err error) {
	for _, flags := range confinements() {
		cmd = command()
		cmd.SysProcAttr = confinement(flags)
		if err = cmd.Start(); err == nil {
			return cmd, limit(cmd.Process.Pid, l)
		}
	}
	return nil, err //nolint:wrapcheck // start wraps it
}

// command is the decoder over one read-only file, for one client.
func command(ctx context.Context, program string, in input, socket string, stderr *tail) *exec.Cmd {
	const options = "driver=%s,read-only=on,file.driver=file,file.filename=%s,file.locking=off,file.read-only=on"
	name := strings.ReplaceAll(in.name, ",", ",,") // as QEMU's options escape a comma
	cmd := exec.CommandContext(ctx, program, "--read-only", "--shared=1", "--socket="+socket, "--image-opts", fmt.Sprintf(options, in.format, name))
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{in.file}
	cmd.Stderr = stderr
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	return cmd
}

func confinement(flags uintptr) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Ptrace: true, Cloneflags: flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// limit bounds a child that stands still before its first instruction, and lets it go.
func limit(pid int, l Limits) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return fmt.Errorf("wait for the decoder to be loaded: %w", err)
	}
	seconds := max(1, uint64(l.CPU.Seconds()))
	limits := map[int]unix.Rlimit{
		unix.RLIMIT_AS:     {Cur: l.Memory, Max: l.Memory},
		unix.RLIMIT_CPU:    {Cur: seconds, Max: seconds + 1}, // the first ends it with a signal that tells why
		unix.RLIMIT_FSIZE:  {},
		unix.RLIMIT_CORE:   {},
		unix.RLIMIT_NOFILE: {Cur: 64, Max: 64},
	}
	for resource, value := range limits {
		if err := unix.Prlimit(pid, resource, &value, nil); err != nil {
			return errors.Join(fmt.Errorf("limit the decoder: %w", err), unix.Kill(pid, unix.SIGKILL))
		}
	}
	if err := unix.PtraceDetach(pid); err != nil {
		return errors.Join(fmt.Errorf("let the decoder run: %w", err), unix.Kill(pid, unix.SIGKILL))
	}
	return nil
}

// dial connects as soon as the child listens.
func (c *child) dial(ctx context.Context, socket string) (net.Conn, error) {
	const pause, patience = 2 * time.Millisecond, time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-c.done:
			return nil, c.explain(err)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s does not answer: %w", ErrInvalidImage, decoder, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// end kills the child and waits for it.
func (c *child) end() {
	c.cancel()
	<-c.done
}

// explain ends the child and says why it failed, in its own words where it found some.
func (c *child) explain(err error) error {
	c.end()
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGXCPU {
			return fmt.Errorf("%w: decoding it took more processor time than such a file may", ErrInvalidImage)
		}
	}
	if words := c.stderr.words(); words != "" {
		return fmt.Errorf("%w: %s", ErrInvalidImage, words)
	}
	return fmt.Errorf("%w: %w", ErrInvalidImage, err)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const maxWords = 300

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 4*maxWords; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// words are the last line, without the program's and the file's name.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.text), []byte("\n"))
	line := string(lines[len(lines)-1])
	for _, prefix := range []string{decoder + ": ", "Failed to blk_new_open ", "Could not open image: "} {
		line = strings.TrimPrefix(line, prefix)
	}
	return strings.ToValidUTF8(line[:min(len(line), maxWords)], "?")
}

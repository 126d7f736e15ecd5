//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/platform"
	"slipway.dev/slipway/reconcilers/setup"
)

// pollEvery is how often the tests look at a platform in another process.
const pollEvery = 200 * time.Millisecond

// stack is one running `slipway up --demo`.
type stack struct {
	dir     string
	layout  platform.Layout
	process *exec.Cmd
	exited  chan error
	output  *bytes.Buffer
	client  client.WithWatch
	mounted bool // DVCR has a disk of its own
}

func required(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; run these tests with `make e2e`", name)
	}
	return value
}

// newStack names a data directory; start runs the platform on it.
func newStack(t *testing.T) *stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{dir: dir, layout: platform.Layout{Root: filepath.Join(dir, "data")}}
	must(t, os.MkdirAll(s.layout.DVCR(), 0o700))
	must(t, s.mountRegistry())
	t.Cleanup(func() {
		s.cli(t, "down")
		if err := s.unmountRegistry(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("data kept in %s; output of slipway up:\n%s", dir, s.tail())
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stack) start(t *testing.T) {
	t.Helper()
	s.output = &bytes.Buffer{}
	s.process = exec.Command(s.binary(t), "up", "--demo", "--data-dir", s.layout.Root, "--sample-image", required(t, "SLIPWAY_SAMPLE_IMAGE"))
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	go func() { s.exited <- s.process.Wait() }()
	s.eventually(t, 2*patience, "the platform is up", func(context.Context) error {
		select {
		case err := <-s.exited:
			t.Fatalf("slipway up ended: %v\n%s", err, s.output)
		default:
		}
		ready, err := platform.ReadReady(s.layout)
		if err == nil && ready.PID != s.process.Process.Pid {
			err = fmt.Errorf("addresses are of process %d", ready.PID)
		}
		return err
	})
	s.connect(t)
}

func (s *stack) connect(t *testing.T) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.layout.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	scheme, err := setup.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if s.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
}

// interrupt is Ctrl-C; it waits until the process has ended.
func (s *stack) interrupt(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGINT)
	select {
	case err := <-s.exited:
		if err != nil {
			t.Fatalf("slipway up after Ctrl-C: %v\n%s", err, s.tail())
		}
	case <-time.After(patience):
		t.Fatalf("slipway up did not end within %s of Ctrl-C\n%s", patience, s.tail())
	}
}

// kill is SIGKILL of the controller, not of its guests.
func (s *stack) kill(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGKILL)
	<-s.exited
}

func (s *stack) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func (s *stack) tail() string {
	if s.output == nil {
		return ""
	}
	text := s.output.String()
	return text[max(0, len(text)-6000):]
}

func (s *stack) binary(t *testing.T) string {
	t.Helper()
	return filepath.Join(required(t, "SLIPWAY_BIN"), "slipway")
}

// cli runs a slipway command and returns what it printed, with its error.
func (s *stack) cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*bootTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary(t), append(args, "--data-dir", s.layout.Root)...)
	// ssh passes everything after -- on, so global flags go first.
	if len(args) > 0 && args[0] == "ssh" {
		cmd = exec.CommandContext(ctx, s.binary(t), append([]string{"--data-dir", s.layout.Root}, args...)...)
	}
	cmd.Env = append(os.Environ(), "KUBECONFIG=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs a slipway command that has to succeed.
func (s *stack) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.cli(t, args...)
	if err != nil {
		t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// guest runs a command in the demo's machine.
func (s *stack) guest(t *testing.T, command string) string {
	t.Helper()
	return strings.TrimSpace(s.must(t, "ssh", "--timeout", bootTime.String(), "web", "--", command))
}

// eventually repeats a check until it has no error, and fails the test with the
// last error when the time is up.
func (s *stack) eventually(t *testing.T, within time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), pollEvery, within, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err == nil || ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("not within %s: %s: %v", within, what, last)
	}
}

// repository is a clone of the demo's repository.
type repository struct{ dir string }

func (s *stack) clone(t *testing.T) repository {
	t.Helper()
	ready, err := platform.ReadReady(s.layout)
	if err != nil {
		t.Fatal(err)
	}
	r := repository{dir: filepath.Join(s.dir, "clone")}
	r.clone(t, ready.GitURL)
	return r
}

func (r repository) clone(t *testing.T, url string) {
	t.Helper()
	run(t, filepath.Dir(r.dir), "git", "clone", "--quiet", url, r.dir)
	r.git(t, "config", "user.name", "Tester")
	r.git(t, "config", "user.email", "tester@example.com")
}

func (r repository) git(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, r.dir, "git", args...)
}

// push commits everything and pushes; it returns the commit.
func (r repository) push(t *testing.T, message string) string {
	t.Helper()
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--message", message)
	r.git(t, "push", "--quiet")
	return strings.TrimSpace(r.git(t, "rev-parse", "HEAD"))
}

func (r repository) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r repository) replace(t *testing.T, name, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	r.write(t, name, strings.Replace(string(text), old, replacement, 1))
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// processesOf lists the processes whose command line names a directory.
func processesOf(t *testing.T, dir string) map[int]string {
	t.Helper()
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		file, err := os.Open(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue
		}
		line, err := io.ReadAll(file)
		file.Close()
		if err == nil && bytes.Contains(line, []byte(dir)) {
			found[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return found
}

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

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/platform"
	"slipway.dev/slipway/reconcilers/setup"
	"slipway.dev/slipway/test/e2e/compare"
	"slipway.dev/slipway/test/e2e/scenario"
)

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
	scenario.Must(t, os.MkdirAll(s.layout.DVCR(), 0o700))
	scenario.Must(t, s.mountRegistry())
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
	scenario.Eventually(t, 2*scenario.Patience, "the platform is up", func(context.Context) error {
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
	case <-time.After(scenario.Patience):
		t.Fatalf("slipway up did not end within %s of Ctrl-C\n%s", scenario.Patience, s.tail())
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*scenario.BootTime)
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

// newDemo is the demo on a stack that runs.
func newDemo(t *testing.T, s *stack) *scenario.Demo {
	t.Helper()
	ready, err := platform.ReadReady(s.layout)
	scenario.Must(t, err)
	d := &scenario.Demo{
		Client:          s.client,
		Repository:      scenario.Clone(t, ready.GitURL),
		Expose:          func(_ *testing.T, url string) string { return url },
		KillControllers: s.kill,
		Verdict:         compare.Node(),
		Run: func(_ context.Context, command string) (string, error) {
			out, err := s.cli(t, "ssh", "--timeout", scenario.BootTime.String(), "web", "--", command)
			if err != nil {
				err = fmt.Errorf("slipway ssh: %w: %s", err, out)
			}
			return strings.TrimSpace(out), err
		},
	}
	d.Recover = func(t *testing.T) {
		s.start(t)
		d.Client = s.client
	}
	return d
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

package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/test/engine/cgroup"
	"slipway.dev/slipway/test/engine/network"
	"slipway.dev/slipway/test/engine/node"
)

// TestMain lets the test's program be a node's first process, as the engine's is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case node.PrepareCommand:
			fail(node.Prepare(os.Args[3]))
		case node.RunCommand:
			fail(node.Run())
		}
	}
	os.Exit(m.Run())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// fixture is a node that runs one service, which writes what it sees.
type fixture struct {
	spec  node.Spec
	group cgroup.Group
}

// observe is what the service does: it says what it sees, and ends; so it is started again.
const observe = `
{
  echo "host $(hostname)"
  echo "address $(ip -4 -o addr show eth0 | awk '{print $4}')"
  echo "panic $(cat /proc/sys/kernel/panic)"
  echo "cgroup $(grep -m1 -o '[^:]*$' /proc/self/cgroup)"
  echo "usr $(touch -r /usr/bin /usr/bin 2>&1 | grep -o 'Read-only')"
  echo "sysctl $(cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness || echo refused)"
  echo "first $(tr '\0' ' ' < /proc/1/cmdline | awk '{print $2}')"
  echo "kvm $(test -e /dev/kvm && echo there || echo none)"
} > /part 2>/dev/null
mv /part /seen.$(ls /seen.* 2>/dev/null | wc -l)
exec sleep 0.1
`

func newFixture(t *testing.T) fixture {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces and mounts need root: run sudo -E go test ./node")
	}
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	for _, dir := range []string{"usr", "etc", "tmp", "var"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := network.New(1)
	if err != nil {
		t.Fatal(err)
	}
	links, err := plan.Links("node1")
	if err != nil {
		t.Fatal(err)
	}
	spec := node.Spec{
		Name: "node1", Root: root, Hierarchies: hierarchies, Links: links,
		Binds:    []node.Bind{{Source: "/usr", Target: "/usr"}, {Source: "/etc/alternatives", Target: "/etc/alternatives"}},
		Settings: map[string]string{"kernel/panic": "4711"},
		Services: []node.Service{{Name: "observer", Args: []string{"/bin/sh", "-c", observe}}},
	}
	if err := spec.Write(); err != nil {
		t.Fatal(err)
	}
	group := cgroup.New(hierarchies, "slipway-engine-test-"+strconv.Itoa(os.Getpid()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(group.Kill(ctx), group.Remove(ctx)); err != nil {
			t.Error(err)
		}
	})
	return fixture{spec, group}
}

func (f fixture) launch(t *testing.T) *node.Process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.group.Create(); err != nil {
		t.Fatal(err)
	}
	process, err := node.Launch(executable, f.spec, node.Listeners{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.group.Add(process.PID); err != nil {
		t.Fatal(err)
	}
	return process
}

// await looks for a file until the test's time is over.
func await(t *testing.T, path string) string {
	t.Helper()
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			return string(text)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestNodeIsAPlaceOfItsOwn(t *testing.T) {
	f := newFixture(t)
	host, err := os.ReadFile("/proc/sys/kernel/panic")
	if err != nil {
		t.Fatal(err)
	}
	process := f.launch(t)
	if err := process.Go(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := await(t, filepath.Join(f.spec.Root, "seen.0"))
	for _, want := range []string{
		"host node1", "address 10.88.0.1/24", "panic 4711", "cgroup /", "usr Read-only", "sysctl refused",
		"first " + node.RunCommand, "kvm none",
	} {
		if !strings.Contains(seen, want+"\n") {
			t.Errorf("%q is missing in:\n%s", want, seen)
		}
	}
	// A service that ended starts again.
	await(t, filepath.Join(f.spec.Root, "seen.1"))

	now, err := os.ReadFile("/proc/sys/kernel/panic")
	if err != nil {
		t.Fatal(err)
	}
	if string(now) != string(host) {
		t.Errorf("the host's setting changed from %s to %s", host, now)
	}
	if output, err := exec.Command("ip", "link", "show", "type", "bridge").CombinedOutput(); err != nil || strings.Contains(string(output), "eth0") {
		t.Errorf("the host's links: %v %s", err, output)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), f.spec.Root) {
		t.Error("a mount of the node is the host's too")
	}
}

func TestEverythingEndsWithTheFirstProcess(t *testing.T) {
	f := newFixture(t)
	process := f.launch(t)
	if err := process.Go(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, filepath.Join(f.spec.Root, "seen.0"))
	if err := unix.Kill(process.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(process.PID, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	processes, err := f.group.Processes()
	if err != nil {
		t.Fatal(err)
	}
	if len(processes) > 0 {
		t.Errorf("processes %v outlive the first", processes)
	}
}

func TestNodeThatNobodyLetGoEnds(t *testing.T) {
	f := newFixture(t)
	process := f.launch(t)
	if err := process.End(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.spec.Root, "seen.0")); err == nil {
		t.Error("a service was started")
	}
}

func TestNodeThatCannotStartSaysWhy(t *testing.T) {
	cases := map[string]struct {
		change func(s *node.Spec)
		want   string
	}{
		"a program that is not there": {
			func(s *node.Spec) { s.Services = []node.Service{{Name: "kubelet", Args: []string{"/opt/none"}}} },
			"start kubelet",
		},
		"something to show that is not there": {
			func(s *node.Spec) { s.Binds = append(s.Binds, node.Bind{Source: "/not/there", Target: "/x"}) },
			"/not/there",
		},
		"an address that is none": {
			func(s *node.Spec) { s.Links = []network.Command{{"addr", "add", "nonsense", "dev", "lo"}} },
			"ip addr add nonsense",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			tc.change(&f.spec)
			if err := f.spec.Write(); err != nil {
				t.Fatal(err)
			}
			err := f.launch(t).Go(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

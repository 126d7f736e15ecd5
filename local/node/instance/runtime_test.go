package instance

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"slipway.dev/slipway/local/node/qemu"
)

const uid types.UID = "0c6a3e4b-6f0c-4b9c-8b1e-0d2f7a9f0001"

func openRuntime(t *testing.T, root string) *Runtime {
	t.Helper()
	if _, err := exec.LookPath(qemu.Binary); err != nil {
		t.Fatalf("%v: run apt-get install qemu-system-x86", err)
	}
	r, err := OpenRuntime(root, clock.RealClock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// bare is a guest without disks: its firmware waits for ever.
func bare(f files) qemu.Spec {
	return qemu.Spec{
		Name: "shop/web", UUID: string(uid), Accelerator: "tcg", Machine: qemu.Machine{Type: "q35"}, MemoryMiB: 32,
		CPU: qemu.CPU{Model: "max", Sockets: 1, Cores: 1, Threads: 1}, Sockets: f.listen(), ConsoleLog: f.console(),
	}
}

func startBare(t *testing.T, r *Runtime) Observed {
	t.Helper()
	f := filesOf(r.root, uid)
	if err := f.make(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.remove() }) // sockets may be outside the test's directory
	record := Record{UID: uid, Namespace: "shop", Name: "web", Volumes: map[string]string{"v": "root"}, Bases: []string{"sha256:aa"}}
	if err := r.Start(context.Background(), record, bare(f)); err != nil {
		t.Fatal(err)
	}
	o := r.Observe(uid)
	t.Cleanup(func() { _ = o.Record.Process.Kill() })
	return o
}

// awaitEnd waits until the runtime knows of the end.
func awaitEnd(t *testing.T, r *Runtime) Observed {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		select {
		case <-r.Wakes():
			if o := r.Observe(uid); !o.Running {
				return o
			}
		case <-deadline:
			t.Fatal("the end of the guest was not noticed")
		}
	}
}

func TestAProcessIsTakenOver(t *testing.T) {
	root := filepath.Join(t.TempDir(), "instances")
	first := openRuntime(t, root)
	started := startBare(t, first)
	first.Close()

	second := openRuntime(t, root)
	adopted := second.Observe(uid)
	if !adopted.Running || adopted.Record.Process != started.Record.Process {
		t.Fatalf("adopted %+v, want %+v", adopted, started)
	}
	if user, used := second.UserOf("v"); !used || user != uid {
		t.Errorf("volume is used by %q, %v", user, used)
	}
	if !second.UsedBases()["sha256:aa"] {
		t.Error("the base image of a running guest counts as unused")
	}
	if err := second.Remove(uid); err == nil {
		t.Error("the files of a running guest were removed")
	}
	if err := adopted.Record.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if o := awaitEnd(t, second); o.Exit != qemu.Crashed || !o.Known {
		t.Errorf("a killed guest ended as %+v", o)
	}
	if err := second.Remove(uid); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, string(uid))); err == nil {
		t.Error("files are left behind")
	}
}

func TestAnEndIsFoundOutAfterwards(t *testing.T) {
	root := filepath.Join(t.TempDir(), "instances")
	first := openRuntime(t, root)
	started := startBare(t, first)
	first.Close()
	if err := started.Record.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(root, string(uid), "events.log")
	if err := os.WriteFile(log, []byte(`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = started.Record.Process.Wait(context.Background())

	if o := openRuntime(t, root).Observe(uid); !o.Known || o.Running || o.Exit != qemu.GuestShutdown {
		t.Errorf("observed %+v, want a power-off", o)
	}
}

// TestAKeeperThatDiedWhileStarting leaves a record that names no process, and perhaps a process.
func TestAKeeperThatDiedWhileStarting(t *testing.T) {
	root := filepath.Join(t.TempDir(), "instances")
	first := openRuntime(t, root)
	started := startBare(t, first)
	first.Close()
	f := filesOf(root, uid)
	torn := started.Record
	torn.Process = qemu.Process{}
	if err := f.save(torn); err != nil {
		t.Fatal(err)
	}

	second := openRuntime(t, root)
	if o := second.Observe(uid); !o.Running || o.Record.Process != started.Record.Process {
		t.Errorf("observed %+v, want the process that runs", o)
	}
	second.Close()
	if err := started.Record.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = started.Record.Process.Wait(context.Background())
	if o := openRuntime(t, root).Observe(uid); o.Running || !o.Record.Parked {
		t.Errorf("observed %+v, want a start that is still to be made", o)
	}
}

func TestShutdownParksGuestsAndStartsNoMore(t *testing.T) {
	root := filepath.Join(t.TempDir(), "instances")
	r := openRuntime(t, root)
	started := startBare(t, r)
	if err := r.Shutdown(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	if started.Record.Process.Alive() {
		t.Error("the guest outlived the shutdown")
	}
	if err := r.Start(context.Background(), Record{UID: uid}, qemu.Spec{}); err == nil {
		t.Error("a guest was started during the shutdown")
	}
	if o := openRuntime(t, root).Observe(uid); !o.Known || o.Running || !o.Record.Parked {
		t.Errorf("observed %+v, want a parked guest", o)
	}
}

func TestHalfPreparedInstancesAreRemoved(t *testing.T) {
	root := filepath.Join(t.TempDir(), "instances")
	if err := os.MkdirAll(filepath.Join(root, "half"), 0o700); err != nil {
		t.Fatal(err)
	}
	openRuntime(t, root)
	if left, _ := filepath.Glob(filepath.Join(root, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

package qemu

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReadExit(t *testing.T) {
	const greeting = `{"QMP": {"version": {}, "capabilities": []}}` + "\n" + `{"return": {}}` + "\n"
	shutdown := func(guest, reason string) string {
		return `{"timestamp": {"seconds": 1}, "event": "SHUTDOWN", "data": {"guest": ` + guest + `, "reason": "` + reason + `"}}` + "\n"
	}
	tests := map[string]struct {
		log  string
		want Exit
	}{
		"nothing at all":          {log: "", want: Crashed},
		"killed":                  {log: greeting, want: Crashed},
		"powered off":             {log: greeting + `{"event": "POWERDOWN"}` + "\n" + shutdown("true", "guest-shutdown"), want: GuestShutdown},
		"reset":                   {log: greeting + shutdown("true", "guest-reset"), want: GuestReset},
		"panicked":                {log: greeting + shutdown("true", "guest-panic"), want: GuestPanicked},
		"terminated by a signal":  {log: greeting + shutdown("false", "host-signal"), want: HostStopped},
		"told to quit":            {log: greeting + shutdown("false", "host-qmp-quit"), want: HostStopped},
		"a half-written last row": {log: greeting + shutdown("true", "guest-shutdown") + `{"event": "SHUT`, want: GuestShutdown},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ReadExit(strings.NewReader(tc.log)); got != tc.want {
				t.Errorf("exit %s, want %s", got, tc.want)
			}
		})
	}
}

func TestParseStatCountsFromTheLastParenthesis(t *testing.T) {
	line := "42 (vm-a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 987654 1 2 3\n"
	start, state, err := parseStat(line)
	if err != nil || start != 987654 || state != 'S' {
		t.Errorf("start %d, state %c, %v", start, state, err)
	}
	if _, _, err := parseStat("42 (vm) S 1"); err == nil {
		t.Error("a line without a start time was read")
	}
}

func TestAliveTellsAnotherProcessOfTheSameNumber(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	later, boot := self, self
	later.Start++
	boot.Boot = "another"
	for name, tc := range map[string]struct {
		process Process
		want    bool
	}{
		"this process": {self, true}, "one started later": {later, false}, "one of another boot": {boot, false}, "none": {Process{}, false},
	} {
		if got := tc.process.Alive(); got != tc.want {
			t.Errorf("%s: alive %v, want %v", name, got, tc.want)
		}
	}
}

func TestNodeFitsQEMUsLimitAndStaysDistinct(t *testing.T) {
	long := strings.Repeat("a", 40)
	if got := Node("root"); got != "disk-root" {
		t.Errorf("node %q", got)
	}
	one, other := Node(long+"1"), Node(long+"2")
	if len(one) > 31 || one == other {
		t.Errorf("nodes %q and %q", one, other)
	}
}

func TestStartReportsWhyQEMUEnded(t *testing.T) {
	need(t, Binary)
	logs := Logs{Events: filepath.Join(t.TempDir(), "events"), Messages: filepath.Join(t.TempDir(), "messages")}
	process, err := Start([]string{"-no-such-option"}, logs)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if err := process.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if words := LastWords(logs.Messages); words == nil || !strings.Contains(words.Error(), "no-such-option") {
		t.Errorf("last words %v", words)
	}
}

// TestEventsAreLoggedWithoutAListener: the log tells how QEMU ended though nobody ever connected to its monitor.
func TestEventsAreLoggedWithoutAListener(t *testing.T) {
	need(t, Binary)
	dir := t.TempDir()
	logs := Logs{Events: filepath.Join(dir, "events"), Messages: filepath.Join(dir, "messages")}
	spec := Spec{
		Name: "test", UUID: "5119a1e0-0000-4000-8000-000000000001", Accelerator: "tcg", Machine: Machine{Type: "q35"},
		CPU: CPU{Model: "max", Sockets: 1, Cores: 1, Threads: 1}, MemoryMiB: 32,
		Sockets: Sockets{Monitor: filepath.Join(dir, "m"), Serial: filepath.Join(dir, "s"), Agent: filepath.Join(dir, "a"), VNC: filepath.Join(dir, "v")},
	}
	process, err := Start(Args(spec), logs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Kill() })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for !strings.Contains(text(t, logs.Events), `"return"`) { // until the log's monitor takes commands
		if ctx.Err() != nil || !process.Alive() {
			t.Fatalf("QEMU did not begin its log: %v", LastWords(logs.Messages))
		}
	}
	self, err := os.FindProcess(process.PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if got := ReadExit(strings.NewReader(text(t, logs.Events))); got != HostStopped {
		t.Errorf("exit %s, want %s", got, HostStopped)
	}
}

func TestOverlaysGrow(t *testing.T) {
	need(t, ImageTool)
	ctx, dir := context.Background(), t.TempDir()
	base, file := filepath.Join(dir, "base.raw"), filepath.Join(dir, "disk.qcow2")
	if err := os.WriteFile(base, make([]byte, 1<<20), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := CreateOverlay(ctx, file, Backing{File: "base.raw", Format: "raw"}, 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := ResizeImage(ctx, file, 3<<20); err != nil {
		t.Fatal(err)
	}
	if size, err := ImageSize(ctx, file); err != nil || size != 3<<20 {
		t.Errorf("size %d, %v", size, err)
	}
	if err := ResizeImage(ctx, file, 1<<20); err == nil {
		t.Error("a disk was made smaller")
	}
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: run apt-get install qemu-system-x86 qemu-utils", err)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/store"
)

// childFlag says that this process is one that is measured.
const childFlag = "-measured"

// task is what a child does.
type task struct {
	URL    string
	Sparse []string
	Dir    string
	Polls  int
}

// cost is what it took.
type cost struct {
	Wall, CPU time.Duration
	// Growth of the resident memory at its peak, in bytes.
	Growth int64
	Files  int
	Bytes  int64
}

// measured runs a task in a process of its own.
func measured(ctx context.Context, t task) (cost, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return cost{}, fmt.Errorf("encode task: %w", err)
	}
	c := exec.CommandContext(ctx, "/proc/self/exe", childFlag, string(raw))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return cost{}, fmt.Errorf("measure: %w", err)
	}
	var got cost
	if err := json.Unmarshal(out, &got); err != nil {
		return cost{}, fmt.Errorf("read figures: %w", err)
	}
	return got, nil
}

// child does a task and writes what it took.
func child(ctx context.Context, raw string, w io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	client := git.NewClient(git.WithTempDir(t.Dir+"/packs"), git.WithEgress(egress.Policy{Allow: egress.Loopback}))
	do := func() (cost, error) { return fetch(ctx, client, t) }
	if t.Polls > 0 {
		do = func() (cost, error) { return poll(ctx, client, t) }
	}
	debug.FreeOSMemory()
	before, err := memory("VmRSS")
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return fmt.Errorf("reset the peak of memory: %w", err)
	}
	started, used := time.Now(), cpu()
	got, err := do()
	if err != nil {
		return err
	}
	got.Wall, got.CPU = time.Since(started), cpu()-used
	peak, err := memory("VmHWM")
	if err != nil {
		return err
	}
	got.Growth = peak - before
	runtime.KeepAlive(client)
	if err := json.NewEncoder(w).Encode(got); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

// fetch does what a controller does with a new revision.
func fetch(ctx context.Context, client *git.Client, t task) (cost, error) {
	s, err := store.Open(t.Dir + "/store")
	if err != nil {
		return cost{}, err
	}
	remote := git.Remote{URL: t.URL, Timeout: 10 * time.Minute}
	revision, err := client.Resolve(ctx, remote, git.Ref{Branch: branch})
	if err != nil {
		return cost{}, err
	}
	files, err := client.Fetch(ctx, remote, revision, git.Options{Sparse: t.Sparse})
	if err != nil {
		return cost{}, err
	}
	defer files.(io.Closer).Close() //nolint:errcheck,forcetypeassert // documented
	_, size, err := s.PutWithSize(ctx, files)
	if err != nil {
		return cost{}, err
	}
	return cost{Bytes: size}, nil
}

// poll does what a controller does when nothing is new.
func poll(ctx context.Context, client *git.Client, t task) (cost, error) {
	remote := git.Remote{URL: t.URL}
	var last string
	for range t.Polls {
		revision, err := client.Resolve(ctx, remote, git.Ref{Branch: branch})
		if err != nil {
			return cost{}, err
		}
		if last != "" && last != revision.String() {
			return cost{}, fmt.Errorf("the revision changed from %s to %s", last, revision)
		}
		last = revision.String()
	}
	return cost{}, nil
}

// memory reads a figure of this process, in bytes.
func memory(name string) (int64, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), name+":"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory: %w", err)
			}
			return n << 10, nil
		}
	}
	return 0, fmt.Errorf("read memory: there is no %s", name)
}

// cpu is what this process used so far, in user and in system mode.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

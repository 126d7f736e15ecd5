package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
)

// childFlag makes this program do one import or restore, so that its CPU time and memory are its own and not the registry's.
const childFlag = "--child"

// usage is what a child took.
type usage struct {
	cpu    float64 // seconds
	memory int64   // bytes, at most
	moved  int64
}

// child runs one operation: push or restore.
func child(ctx context.Context, s *registry.Server, args ...string) (usage, error) {
	c := s.Credentials()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{childFlag, s.Addr(), c.Username, c.Password}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return usage{}, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	u := usage{cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	if _, err := fmt.Sscan(string(out), &u.moved, &u.memory); err != nil {
		return u, fmt.Errorf("read the figures of %s: %w", strings.Join(args, " "), err)
	}
	return u, nil
}

// counter counts what goes over the wire.
type counter struct {
	http.RoundTripper
	sent, received atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = counted{r.Body, &c.sent}
	}
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = counted{resp.Body, &c.received}
	}
	return resp, err //nolint:wrapcheck // as it was
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err //nolint:wrapcheck // as it was
}

// runChild does what child asks for and prints the bytes moved.
func runChild(ctx context.Context, args []string) error {
	wire := &counter{RoundTripper: http.DefaultTransport}
	client := registry.NewClient(args[0], registry.Credentials{Username: args[1], Password: args[2]}, registry.WithTransport(wire))
	repo, err := client.Repository("bench/image")
	if err != nil {
		return err
	}
	defer func() { fmt.Println(peak()) }()
	verb, path, tag, more := args[3], args[4], args[5], args[6:]
	switch verb {
	case "push", "push-qcow2":
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("open the image: %w", err)
		}
		src, err := disk.OpenRaw(f)
		if verb == "push-qcow2" {
			info, _ := f.Stat()
			src, err = disk.OpenQCOW2(f, info.Size())
		}
		if err != nil {
			return err
		}
		defer func() { _ = src.Close() }()
		if _, err := disk.Push(ctx, src, repo, tag, disk.PushOptions{Bases: more}); err != nil {
			return err
		}
		fmt.Println(wire.sent.Load())
	case "faces":
		_, err := disk.AddFaces(ctx, repo, tag, registry.Faces{Repository: repo}, "")
		if err != nil {
			return err
		}
		fmt.Println(wire.sent.Load())
	case "restore":
		f, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("make the disk: %w", err)
		}
		defer f.Close()
		var o disk.RestoreOptions
		if len(more) == 2 {
			seed, err := os.Open(more[0])
			if err != nil {
				return fmt.Errorf("open the older disk: %w", err)
			}
			defer seed.Close()
			table, err := disk.LoadTable(ctx, repo, more[1])
			if err != nil {
				return err
			}
			wire.received.Store(0) // whoever has a disk has its table
			o.Seeds = []disk.Seed{{Table: table, Disk: seed}}
		}
		if _, err := disk.Restore(ctx, repo, tag, f, o); err != nil {
			return err
		}
		fmt.Println(wire.received.Load())
	}
	return nil
}

// selfCPU is what this process, and so the registry in it, has taken.
func selfCPU() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// peak is the most memory that this process had. What the kernel tells of a child counts the parent from which it was forked.
func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

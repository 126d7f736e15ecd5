package foreign_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/foreign"
)

const mib = 1 << 20

// sample is a disk with data, a long hole, and data at its end.
func sample() []byte {
	out := make([]byte, 24*mib)
	random := rand.New(rand.NewPCG(1, 2))
	for _, part := range [][]byte{out[:3*mib], out[23*mib:]} {
		for i := range part {
			part[i] = byte(random.Uint32())
		}
	}
	return out
}

// convert writes raw in another format and opens the file.
func convert(t *testing.T, raw []byte, args ...string) *os.File {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(append([]string{"convert", "-f", "raw"}, args...), in, out)
	if text, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s(install qemu-utils)", args, err, text)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// read takes all stretches of a source into one piece, and counts the bytes that came.
func read(t *testing.T, s disk.Source) (content []byte, moved int) {
	t.Helper()
	content = make([]byte, s.Size())
	p := make([]byte, mib)
	for {
		off, n, err := s.ReadNext(p)
		if errors.Is(err, io.EOF) {
			return content, moved
		}
		if err != nil {
			t.Fatal(err)
		}
		moved += copy(content[off:], p[:n])
	}
}

func TestOpen(t *testing.T) {
	raw := sample()
	cases := map[string]struct {
		format string
		args   []string
	}{
		"vmdk":                  {foreign.VMDK, []string{"-O", "vmdk"}},
		"vmdk stream optimized": {foreign.VMDK, []string{"-O", "vmdk", "-o", "subformat=streamOptimized"}},
		"vdi":                   {foreign.VDI, []string{"-O", "vdi"}},
		"vdi fixed":             {foreign.VDI, []string{"-O", "vdi", "-o", "static=on"}},
		"vhd":                   {foreign.VHD, []string{"-O", "vpc", "-o", "force_size=on"}},
		"vhdx":                  {foreign.VHDX, []string{"-O", "vhdx"}},
		"vhdx fixed":            {foreign.VHDX, []string{"-O", "vhdx", "-o", "subformat=fixed"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := foreign.Open(t.Context(), convert(t, raw, c.args...), c.format, dir, foreign.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, moved := read(t, s)
			if !bytes.Equal(got[:len(raw)], raw) || len(bytes.Trim(got[len(raw):], "\x00")) > 0 {
				t.Error("the disk is another one")
			}
			if !strings.Contains(name, "fixed") && c.format != foreign.VHDX && moved > 8*mib {
				t.Errorf("%d bytes were read; the hole was, too", moved)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// TestOpenOwn reads an overlay that names what is below it relatively.
func TestOpenOwn(t *testing.T) {
	raw := sample()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "base.raw"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "a,disk.qcow2")
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", overlay, "32M").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err := foreign.OpenOwn(t.Context(), overlay, "qcow2", t.TempDir(), foreign.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, moved := read(t, s)
	if len(got) != 32*mib || !bytes.Equal(got[:len(raw)], raw) || moved > len(raw) {
		t.Errorf("%d bytes, %d of them read, are another disk", len(got), moved)
	}
}

// TestOpenIsConfined looks at a running child from outside.
func TestOpenIsConfined(t *testing.T) {
	before := children(t)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := foreign.Open(ctx, convert(t, sample(), "-O", "vmdk"), foreign.VMDK, t.TempDir(), foreign.Limits{Memory: 700 * mib})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var pid string
	for p := range children(t) {
		if !before[p] {
			pid = p
		}
	}
	limits, err := os.ReadFile(filepath.Join("/proc", pid, "limits"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Max file size 0 0", "Max address space " + strconv.Itoa(700*mib), "Max core file size 0 0", "Max open files 64 64", "Max cpu time 60 61"} {
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), want) {
			t.Errorf("no limit %q in\n%s", want, limits)
		}
	}
	if os.Geteuid() == 0 {
		own, _ := os.Readlink("/proc/self/ns/net")
		its, err := os.Readlink(filepath.Join("/proc", pid, "ns/net"))
		if err != nil || own == its {
			t.Errorf("the child is in the network %q of this process (%v)", its, err)
		}
	}
	env, err := os.ReadFile(filepath.Join("/proc", pid, "environ"))
	if err != nil || len(env) > 0 {
		t.Errorf("the child has the environment %q (%v)", env, err)
	}
	cancel()
	if _, _, err := s.ReadNext(make([]byte, mib)); err == nil {
		t.Error("the source outlives its context")
	}
	if _, err := os.Stat(filepath.Join("/proc", pid)); err == nil {
		t.Error("the child lives on")
	}
}

// children are the pids of this process's children.
func children(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, pid := range strings.Fields(string(text)) {
			out[pid] = true
		}
	}
	return out
}

func TestOpenRefuses(t *testing.T) {
	good := convert(t, sample(), "-O", "vmdk")
	cases := map[string]struct {
		file   func(t *testing.T) *os.File
		format string
		limits foreign.Limits
		path   string
		want   error
		says   string
	}{
		"cut off":       {file: func(t *testing.T) *os.File { return cut(t, good, 512) }, format: foreign.VMDK, want: foreign.ErrInvalidImage},
		"other format":  {file: func(*testing.T) *os.File { return good }, format: foreign.VHDX, want: foreign.ErrInvalidImage},
		"little memory": {file: func(*testing.T) *os.File { return good }, format: foreign.VMDK, limits: foreign.Limits{Memory: mib}, want: foreign.ErrInvalidImage},
		"no decoder":    {file: func(*testing.T) *os.File { return good }, format: foreign.VMDK, path: "/nowhere", want: foreign.ErrUnavailable, says: "qemu-utils"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.path != "" {
				t.Setenv("PATH", c.path)
			}
			dir := t.TempDir()
			_, err := foreign.Open(t.Context(), c.file(t), c.format, dir, c.limits)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("opened with %v, want %v and %q", err, c.want, c.says)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// cut copies the beginning of a file.
func cut(t *testing.T, from *os.File, n int64) *os.File {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(from, 0, n))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "cut"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOpenEndsDecoders stops a child that takes too much processor time, and tells what one that gives up says.
func TestOpenEndsDecoders(t *testing.T) {
	cases := map[string]struct {
		script string
		limits foreign.Limits
		says   string
	}{
		"spins":   {"while :; do :; done", foreign.Limits{CPU: time.Second}, "processor time"},
		"refuses": {"echo 'qemu-nbd: no such disk' >&2; exit 1", foreign.Limits{}, "no such disk"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "qemu-nbd"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir)
			_, err := foreign.Open(t.Context(), empty(t), foreign.VMDK, t.TempDir(), c.limits)
			if !errors.Is(err, foreign.ErrInvalidImage) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("opened with %v", err)
			}
		})
	}
}

func empty(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

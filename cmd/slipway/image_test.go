package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/dvcr/registry"
)

// newRegistries starts DVCRs and logs Docker's configuration in to them.
func newRegistries(t *testing.T, n int) []string {
	t.Helper()
	type login struct {
		Auth string `json:"auth"`
	}
	auths := map[string]login{}
	var hosts []string
	for range n {
		s, err := registry.NewServer(registry.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(context.Background()) })
		c := s.Credentials()
		auths[s.Addr()] = login{base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))}
		hosts = append(hosts, s.Addr())
	}
	text, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	return hosts
}

// image runs one command and returns what it prints.
func image(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	root := newRoot(&out, &errOut)
	root.SetArgs(append([]string{"image", "--data-dir", t.TempDir()}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func mustImage(t *testing.T, args ...string) string {
	t.Helper()
	out, err := image(t, args...)
	if err != nil {
		t.Fatalf("slipway image %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func writeDisk(t *testing.T, path string, edits ...int) []byte {
	t.Helper()
	raw := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range raw[:2<<20] {
		raw[i] = byte(random.Uint32())
	}
	copy(raw[1080:], "\x53\xef") // ext4
	for _, at := range edits {
		raw[at] ^= 1
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return raw
}

func wantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not the disk: %v", path, err)
	}
}

// TestImageCommands moves two versions of a disk through two registries.
func TestImageCommands(t *testing.T) {
	hosts := newRegistries(t, 2)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	one := writeDisk(t, file("one.raw"))
	two := writeDisk(t, file("two.raw"), 1<<20)

	var pushed imageInfo
	if err := json.Unmarshal([]byte(mustImage(t, "push", "--registry", hosts[0], "-o", "json", file("one.raw"), "team/debian:1")), &pushed); err != nil {
		t.Fatal(err)
	}
	if len(pushed.Faces) != 2 || pushed.VirtualSize != 3<<20 || pushed.Format != "raw" {
		t.Errorf("pushed %+v", pushed)
	}
	mustImage(t, "push", file("two.raw"), hosts[0]+"/team/debian:2")

	out := mustImage(t, "diff", "--registry", hosts[0], "-o", "json", "team/debian:1", "team/debian:2")
	var diff struct{ Data, New int64 }
	if err := json.Unmarshal([]byte(out), &diff); err != nil || diff.New == 0 || diff.New > 512<<10 {
		t.Errorf("the versions differ by %+v, %v", diff, err)
	}

	mustImage(t, "pull", hosts[0]+"/team/debian:1", file("pulled.raw"))
	wantFile(t, file("pulled.raw"), one)
	if out, err := image(t, "pull", hosts[0]+"/team/debian:2", file("pulled.raw")); err == nil {
		t.Errorf("a file that was there is written over: %s", out)
	}
	var moved struct{ Kept, Copied, Fetched int64 }
	out = mustImage(t, "pull", "--resume", "-o", "json", hosts[0]+"/team/debian:2", file("pulled.raw"))
	if err := json.Unmarshal([]byte(out), &moved); err != nil || moved.Kept == 0 || moved.Fetched > 512<<10 {
		t.Errorf("resuming moved %+v, %v", moved, err)
	}
	wantFile(t, file("pulled.raw"), two)
	out = mustImage(t, "pull", "--seed", file("one.raw"), "--seed-ref", hosts[0]+"/team/debian:1", "-o", "json", hosts[0]+"/team/debian:2", file("seeded.raw"))
	if err := json.Unmarshal([]byte(out), &moved); err != nil || moved.Copied == 0 {
		t.Errorf("the seed gave %+v, %v", moved, err)
	}
	wantFile(t, file("seeded.raw"), two)

	for _, target := range []string{hosts[0] + "/other/debian:copy", hosts[1] + "/far/debian:copy"} {
		mustImage(t, "cp", hosts[0]+"/team/debian:1", target)
		var copied imageInfo
		if err := json.Unmarshal([]byte(mustImage(t, "inspect", "-o", "json", target)), &copied); err != nil {
			t.Fatal(err)
		}
		want := pushed
		want.Reference = target
		if d := cmp.Diff(want, copied); d != "" {
			t.Errorf("the copy (-original +copy):\n%s", d)
		}
		mustImage(t, "verify", target)
	}

	if out := mustImage(t, "ls", "--registry", hosts[0]); strings.Count(out, "containerDisk,raw") != 3 {
		t.Errorf("ls prints\n%s", out)
	}
	mustImage(t, "push", file("one.raw"), hosts[0]+"/team/debian:same")
	mustImage(t, "rm", hosts[0]+"/team/debian:same")
	mustImage(t, "inspect", hosts[0]+"/team/debian:1") // the same image under another tag
	mustImage(t, "rm", hosts[0]+"/team/debian:1")
	if _, err := image(t, "inspect", hosts[0]+"/team/debian:1"); err == nil {
		t.Error("a removed image is still there")
	}
	mustImage(t, "verify", hosts[0]+"/team/debian:2")
}

func TestLocate(t *testing.T) {
	cases := map[string]location{
		"team/debian:12":                     {"dvcr", "team/debian", "12"},
		"debian":                             {"dvcr", "debian", ""},
		"registry.example/team/debian:12":    {"registry.example", "team/debian", "12"},
		"127.0.0.1:5000/debian:12":           {"127.0.0.1:5000", "debian", "12"},
		"localhost/debian@sha256:ab":         {"localhost", "debian", "sha256:ab"},
		"docker://registry.example/debian:1": {"registry.example", "debian", "1"},
		"registry.example:5000/debian":       {"registry.example:5000", "debian", ""},
	}
	for text, want := range cases {
		got, err := locate(text, "dvcr")
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v, want %+v", text, got, err, want)
		}
	}
	if got, err := locate("debian:12", ""); err == nil {
		t.Errorf("without a registry debian:12 is at %v", got)
	}
}

func TestImageRefuses(t *testing.T) {
	hosts := newRegistries(t, 1)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string][]string{
		"no tag":         {"push", "x.raw", hosts[0] + "/debian"},
		"no file":        {"push", filepath.Join(t.TempDir(), "none"), hosts[0] + "/debian:1"},
		"a text":         {"push", text, hosts[0] + "/debian:1"},
		"to a digest":    {"push", "--raw", text, hosts[0] + "/debian@sha256:" + strings.Repeat("a", 64)},
		"no repository":  {"ls", hosts[0] + "/none"},
		"no image":       {"inspect", hosts[0] + "/debian:1"},
		"no registry":    {"inspect", "debian:1"},
		"seed, no table": {"pull", "--seed", "x", hosts[0] + "/debian:1", "y"},
	}
	for name, args := range cases {
		if out, err := image(t, args...); err == nil {
			t.Errorf("%s: %s", name, fmt.Sprint(out))
		}
	}
	mustImage(t, "push", "--raw", text, hosts[0]+"/debian:text")
}

package gitserver

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// run runs the real git and returns what it prints.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := tryRun(dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func tryRun(dir string, args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := c.CombinedOutput()
	return string(out), err
}

var login = url.UserPassword("slipway", "open/sesame:1")

func serve(t *testing.T, pushes chan string) *Server {
	t.Helper()
	s, err := New(Options{Login: login, OnPush: func(name string) { pushes <- name }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func demoRepository(t *testing.T, s *Server) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	if err := InitDemo(t.Context(), dir, fstest.MapFS{"vm/web.yaml": {Data: []byte("kind: VirtualMachine\n")}, "vm.md": {}}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddBare("demo", dir); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-m", "change "+name)
	return run(t, dir, "rev-parse", "HEAD")
}

func TestCloneAndPush(t *testing.T) {
	tests := map[string][]byte{
		"small push":               []byte("kind: VirtualDisk\n"),
		"push larger than buffers": random(3 << 20), // sent in chunks
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			pushes := make(chan string, 10)
			s := serve(t, pushes)
			demoRepository(t, s)
			clone := t.TempDir()
			run(t, clone, "clone", s.CloneURL("demo"), ".")
			if diff := cmp.Diff("vm.md\nvm/web.yaml", run(t, clone, "ls-files")); diff != "" {
				t.Fatal(diff)
			}
			run(t, clone, "fsck", "--strict")
			want := commit(t, clone, "disk.yaml", content)
			run(t, clone, "push", "origin", "main")
			if got := <-pushes; got != "demo" {
				t.Errorf("OnPush(%q), want demo", got)
			}
			if got := run(t, clone, "ls-remote", s.CloneURL("demo"), "refs/heads/main"); !strings.HasPrefix(got, want) {
				t.Errorf("main is %s, want %s", got, want)
			}
		})
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(b)
	return b
}

func TestPushOfNotesIsNoChange(t *testing.T) {
	pushes := make(chan string, 10)
	s := serve(t, pushes)
	demoRepository(t, s)
	clone := t.TempDir()
	run(t, clone, "clone", s.CloneURL("demo"), ".")
	run(t, clone, "notes", "--ref=slipway", "add", "-m", "healthy", "HEAD")
	run(t, clone, "push", "origin", "refs/notes/slipway")
	commit(t, clone, "a", nil)
	run(t, clone, "push", "origin", "main")
	<-pushes
	if len(pushes) != 0 {
		t.Errorf("OnPush was called %d times more than for the branch", len(pushes))
	}
}

func TestInitDemoTwiceKeepsCommits(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"first", "second"} {
		if err := InitDemo(t.Context(), dir, fstest.MapFS{"a": {Data: []byte(content)}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(t, dir, "show", "main:a"); got != "first" {
		t.Errorf("content is %q, want the first one", got)
	}
	if got := run(t, dir, "rev-list", "--count", "main"); got != "1" {
		t.Errorf("%s commits, want 1", got)
	}
}

func workTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my work")
	run(t, "", "init", "--initial-branch=main", dir)
	commit(t, dir, "vm.yaml", []byte("kind: VirtualMachine\n"))
	return dir
}

func TestWorkTreeReportsLocalCommits(t *testing.T) {
	pushes := make(chan string, 10)
	s := serve(t, pushes)
	dir := workTree(t)
	if err := s.AddWorkTree("work", dir); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		do   func()
	}{
		{"commit", func() { commit(t, dir, "a", nil) }},
		{"packed references", func() { run(t, dir, "pack-refs", "--all"); commit(t, dir, "b", nil) }},
		{"new branch with a slash", func() { run(t, dir, "switch", "-c", "feature/x") }},
		{"commit on it", func() { commit(t, dir, "c", nil) }},
		{"switch", func() { run(t, dir, "switch", "main") }},
	}
	for _, step := range steps {
		step.do()
		if got := <-pushes; got != "work" {
			t.Fatalf("%s: OnPush(%q), want work", step.name, got)
		}
		for len(pushes) > 0 { // one step may be seen in two parts
			<-pushes
		}
	}
	if got, want := run(t, dir, "ls-remote", s.CloneURL("work"), "HEAD"), run(t, dir, "rev-parse", "HEAD"); !strings.HasPrefix(got, want) {
		t.Errorf("HEAD is %s, want %s", got, want)
	}
}

func TestPushToWorkTree(t *testing.T) {
	tests := map[string]struct {
		dirty bool
	}{
		"updates a clean one": {dirty: false},
		"refuses a dirty one": {dirty: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, make(chan string, 10))
			dir := workTree(t)
			if err := s.AddWorkTree("work", dir); err != nil {
				t.Fatal(err)
			}
			clone := t.TempDir()
			run(t, clone, "clone", s.CloneURL("work"), ".")
			commit(t, clone, "vm.yaml", []byte("kind: VirtualMachine # changed\n"))
			mine := []byte("kind: VirtualMachine # mine\n")
			if test.dirty {
				if err := os.WriteFile(filepath.Join(dir, "vm.yaml"), mine, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := tryRun(clone, "push", "origin", "main")
			got, readErr := os.ReadFile(filepath.Join(dir, "vm.yaml"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			if test.dirty && (err == nil || !bytes.Equal(got, mine)) {
				t.Errorf("push = %v with %q in the work tree, want it refused\n%s", err, got, out)
			}
			if !test.dirty && (err != nil || !strings.Contains(string(got), "changed")) {
				t.Errorf("push = %v with %q in the work tree, want it updated\n%s", err, got, out)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	s := serve(t, make(chan string, 10))
	demoRepository(t, s)
	refs := s.CloneURL("demo") + "/info/refs?service=git-upload-pack"
	stranger := s.URL("demo") + "/info/refs?service=git-upload-pack"
	tests := map[string]struct {
		method, url, host string
		want              int
	}{
		"allowed":             {http.MethodGet, refs, "", http.StatusOK},
		"other host":          {http.MethodGet, refs, "evil.example.com", http.StatusForbidden},
		"no log-in":           {http.MethodGet, stranger, "", http.StatusUnauthorized},
		"no password":         {http.MethodGet, strings.Replace(stranger, "//", "//slipway@", 1), "", http.StatusUnauthorized},
		"another's log-in":    {http.MethodGet, strings.Replace(stranger, "//", "//other:open%2Fsesame%3A1@", 1), "", http.StatusUnauthorized},
		"wrong password":      {http.MethodGet, strings.Replace(stranger, "//", "//slipway:guess@", 1), "", http.StatusUnauthorized},
		"dumb protocol":       {http.MethodGet, s.CloneURL("demo") + "/HEAD", "", http.StatusForbidden},
		"dumb references":     {http.MethodGet, s.CloneURL("demo") + "/info/refs", "", http.StatusForbidden},
		"escape":              {http.MethodGet, s.CloneURL("demo") + "/../../etc/passwd", "", http.StatusForbidden},
		"encoded escape":      {http.MethodGet, s.CloneURL("demo") + "/%2e%2e/%2e%2e/etc/passwd", "", http.StatusForbidden},
		"unknown repository":  {http.MethodGet, s.CloneURL("other") + "/info/refs?service=git-upload-pack", "", http.StatusNotFound},
		"no repository":       {http.MethodGet, strings.TrimSuffix(s.CloneURL("x"), "x.git"), "", http.StatusNotFound},
		"other method":        {http.MethodDelete, refs, "", http.StatusForbidden},
		"archive of the tree": {http.MethodPost, s.CloneURL("demo") + "/git-upload-archive", "", http.StatusForbidden},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), test.method, test.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = test.host
			answer, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != test.want {
				t.Errorf("status %d, want %d", answer.StatusCode, test.want)
			}
		})
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:0"} {
		if _, err := New(Options{Addr: addr}); err == nil {
			t.Errorf("New(%s) is allowed", addr)
		}
	}
}

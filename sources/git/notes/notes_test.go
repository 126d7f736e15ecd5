package notes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/local/gitserver"
	"slipway.dev/slipway/sources/git"
)

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// newRemote serves a repository and returns it with the path of its bare directory and its only commit.
func newRemote(t *testing.T) (remote git.Remote, bare, commit string) {
	t.Helper()
	bare = filepath.Join(t.TempDir(), "demo.git")
	if err := gitserver.InitDemo(t.Context(), bare, fstest.MapFS{"vm.yaml": {Data: []byte("kind: VirtualMachine\n")}}); err != nil {
		t.Fatal(err)
	}
	g, err := gitserver.New(gitserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	if err := errors.Join(g.Start(context.Background()), g.AddBare("demo", bare)); err != nil {
		t.Fatal(err)
	}
	return git.Remote{URL: g.URL("demo")}, bare, run(t, bare, "rev-parse", "main")
}

func TestAppendIsReadByGit(t *testing.T) {
	remote, bare, commit := newRemote(t)
	n := New(git.NewClient(git.WithEgress(egress.Policy{Allow: egress.Loopback})))
	for _, text := range []string{"health: Progressing\n", "health: Healthy\n", "health: Healthy\n", ""} {
		if err := n.Append(t.Context(), remote, Ref, commit, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(text), run(t, bare, "notes", "--ref=slipway", "show", commit)); diff != "" {
			t.Errorf("git notes show: %s", diff)
		}
		got, err := n.Read(t.Context(), remote, Ref, commit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Errorf("Read: %s", diff)
		}
	}
	if got := run(t, bare, "rev-list", "--count", Ref); got != "3" {
		t.Errorf("%s commits of notes, want 3: the equal text must make none", got)
	}
	run(t, bare, "fsck", "--strict")
}

func TestReadWithoutNote(t *testing.T) {
	remote, _, commit := newRemote(t)
	n := New(git.NewClient(git.WithEgress(egress.Policy{Allow: egress.Loopback})))
	if _, err := n.Read(t.Context(), remote, Ref, commit); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("Read() = %v, want ErrNotFound", err)
	}
	if err := n.Append(t.Context(), remote, Ref, commit, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Read(t.Context(), remote, Ref, strings.Repeat("1", 40)); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("Read(other) = %v, want ErrNotFound", err)
	}
}

func TestRefused(t *testing.T) {
	n := New(git.NewClient(git.WithEgress(egress.Policy{Allow: egress.Loopback})))
	for _, test := range [][2]string{{"refs/heads/main", strings.Repeat("1", 40)}, {"refs/notes/../heads/main", strings.Repeat("1", 40)}, {Ref, "main"}} {
		if err := n.Append(t.Context(), git.Remote{URL: "http://127.0.0.1:1/x"}, test[0], test[1], nil); !errors.Is(err, git.ErrRefused) {
			t.Errorf("Append(%s, %s) = %v, want ErrRefused", test[0], test[1], err)
		}
	}
}

// TestFanOut works in notes that git has split into directories.
func TestFanOut(t *testing.T) {
	remote, bare, commit := newRemote(t)
	var list []string
	for i := range 600 { // more than git keeps flat
		list = append(list, run(t, bare, "commit-tree", "-m", fmt.Sprint(i), "main^{tree}"))
	}
	blob := run(t, bare, "hash-object", "-w", "HEAD")
	c := exec.CommandContext(t.Context(), "git", "-C", bare, "-c", "user.name=A", "-c", "user.email=a@example.com", "notes", "--ref=slipway", "copy", "--stdin")
	run(t, bare, "-c", "user.name=A", "-c", "user.email=a@example.com", "notes", "--ref=slipway", "add", "-C", blob, list[0])
	var pairs bytes.Buffer
	for _, to := range list[1:] {
		fmt.Fprintf(&pairs, "%s %s\n", list[0], to)
	}
	c.Stdin = &pairs
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git notes copy: %v\n%s", err, out)
	}
	if !strings.Contains(run(t, bare, "ls-tree", Ref), " tree ") {
		t.Fatal("git did not split the notes into directories")
	}
	n := New(git.NewClient(git.WithEgress(egress.Policy{Allow: egress.Loopback})))
	for _, of := range []string{commit, list[7]} {
		if err := n.Append(t.Context(), remote, Ref, of, []byte("ours")); err != nil {
			t.Fatal(err)
		}
		if got := run(t, bare, "notes", "--ref=slipway", "show", of); got != "ours" {
			t.Errorf("note of %s is %q", of, got)
		}
	}
	if got := strings.Count(run(t, bare, "notes", "--ref=slipway", "list"), "\n") + 1; got != 601 {
		t.Errorf("%d notes, want 601", got)
	}
	run(t, bare, "fsck", "--strict")
}

func TestConcurrentAppendsLoseNothing(t *testing.T) {
	remote, bare, _ := newRemote(t)
	var commits []string
	for i := range 4 {
		commits = append(commits, run(t, bare, "commit-tree", "-m", fmt.Sprint(i), "main^{tree}"))
	}
	n := New(git.NewClient(git.WithEgress(egress.Policy{Allow: egress.Loopback})))
	var wg sync.WaitGroup
	for _, commit := range commits {
		wg.Go(func() {
			if err := n.Append(context.Background(), remote, Ref, commit, []byte(commit)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, commit := range commits {
		if got := run(t, bare, "notes", "--ref=slipway", "show", commit); got != commit {
			t.Errorf("note of %s is %q", commit, got)
		}
	}
}

func FuzzNote(f *testing.F) {
	commit := strings.Repeat("ab", 20)
	f.Add(commit, uint32(0o100644))
	f.Add("ab", uint32(0o040000))
	f.Add("", uint32(0o040000))
	f.Fuzz(func(t *testing.T, name string, mode uint32) {
		s := memory.NewStorage()
		blob, err := store(s, func(o plumbing.EncodedObject) error { o.SetType(plumbing.BlobObject); return nil })
		if err != nil {
			t.Fatal(err)
		}
		b := &book{storage: s, root: &object.Tree{Entries: []object.TreeEntry{{Name: name, Mode: filemode.FileMode(mode), Hash: blob}}}}
		_, _ = b.note(commit) // must end, and not panic
	})
}

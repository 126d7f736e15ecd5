package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repository is a user's clone.
type Repository struct{ Dir string }

// Clone clones what lies at a URL for as long as the test runs.
func Clone(t *testing.T, url string) Repository {
	t.Helper()
	r := Repository{Dir: filepath.Join(t.TempDir(), "clone")}
	Run(t, filepath.Dir(r.Dir), "git", "clone", "--quiet", url, r.Dir)
	r.Git(t, "config", "user.name", "Tester")
	r.Git(t, "config", "user.email", "tester@example.com")
	return r
}

// Git runs git in the clone and returns what it printed.
func (r Repository) Git(t *testing.T, args ...string) string {
	t.Helper()
	return Run(t, r.Dir, "git", args...)
}

// Push commits everything and pushes; it returns the commit.
func (r Repository) Push(t *testing.T, message string) string {
	t.Helper()
	r.Git(t, "add", "--all")
	r.Git(t, "commit", "--quiet", "--message", message)
	r.Git(t, "push", "--quiet")
	return r.Head(t)
}

// Revert takes commits back and pushes; it returns the commit.
func (r Repository) Revert(t *testing.T, commits ...string) string {
	t.Helper()
	r.Git(t, append([]string{"revert", "--no-edit"}, commits...)...)
	r.Git(t, "push", "--quiet")
	return r.Head(t)
}

// Head is the commit that is checked out.
func (r Repository) Head(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(r.Git(t, "rev-parse", "HEAD"))
}

// Write makes a file and the directories that it needs.
func (r Repository) Write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Replace changes the first place where a file has a text, and fails the test where it has none.
func (r Repository) Replace(t *testing.T, name, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	r.Write(t, name, strings.Replace(string(text), old, replacement, 1))
}

// Remove takes a file away.
func (r Repository) Remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(r.Dir, name)); err != nil {
		t.Fatal(err)
	}
}

// Run runs a program in a directory and returns what it printed.
func Run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

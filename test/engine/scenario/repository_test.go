//go:build e2e

package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a clone of the demo's repository.
type repository struct{ dir string }

func clone(t *testing.T, url string) repository {
	t.Helper()
	r := repository{dir: filepath.Join(t.TempDir(), "clone")}
	command(t, filepath.Dir(r.dir), "git", "clone", "--quiet", url, r.dir)
	r.git(t, "config", "user.name", "Tester")
	r.git(t, "config", "user.email", "tester@example.com")
	return r
}

func (r repository) git(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, r.dir, "git", args...)
}

// push commits everything and pushes; it returns the commit.
func (r repository) push(t *testing.T, message string) string {
	t.Helper()
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--message", message)
	r.git(t, "push", "--quiet")
	return r.head(t)
}

// revert takes the last commits back.
func (r repository) revert(t *testing.T, commits ...string) string {
	t.Helper()
	r.git(t, append([]string{"revert", "--no-edit"}, commits...)...)
	r.git(t, "push", "--quiet")
	return r.head(t)
}

func (r repository) head(t *testing.T) string {
	return strings.TrimSpace(r.git(t, "rev-parse", "HEAD"))
}

func (r repository) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644))
}

func (r repository) replace(t *testing.T, name, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	must(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	r.write(t, name, strings.Replace(string(text), old, replacement, 1))
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

package origin

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	dir := t.TempDir()
	if _, found, err := Of(dir); found || err != nil {
		t.Fatalf("a plain directory: %v, %v", found, err)
	}
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := Of(dir); found || err != nil {
		t.Fatalf("without a commit: %v, %v", found, err)
	}
	below := filepath.Join(dir, "vms")
	write(t, filepath.Join(below, "vm.yaml"), "one")
	hash := commit(t, repo)
	if _, err := repo.CreateRemote(&config.RemoteConfig{Name: "origin", URLs: []string{"https://me:s3cr3t@git.example/team/vms.git"}}); err != nil {
		t.Fatal(err)
	}
	want := Origin{Source: "https://git.example/team/vms.git", Revision: "main@sha1:" + hash, Created: when.UTC()}
	got, found, err := Of(below)
	if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
		t.Errorf("%v, %v (-want +got):\n%s", found, err, diff)
	}
	write(t, filepath.Join(below, "vm.yaml"), "two")
	if got, _, err := Of(below); err != nil || got.Revision != want.Revision+"-dirty" {
		t.Errorf("with a change: %q, %v", got.Revision, err)
	}
}

var when = time.Date(2026, 5, 1, 14, 0, 0, 0, time.FixedZone("", 7200))

func commit(t *testing.T, repo *git.Repository) string {
	t.Helper()
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add("."); err != nil {
		t.Fatal(err)
	}
	hash, err := tree.Commit("one", &git.CommitOptions{Author: &object.Signature{Name: "me", Email: "me@example.com", When: when}})
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClean(t *testing.T) {
	for raw, want := range map[string]string{
		"https://git.example/x":           "https://git.example/x",
		"https://me:s3cr3t@git.example/x": "https://git.example/x",
		"git@git.example:team/x.git":      "ssh://git.example/team/x.git",
		"/home/me/x":                      "",
		"file:///home/me/x":               "",
	} {
		if got := clean(raw); got != want {
			t.Errorf("clean(%q) = %q, want %q", raw, got, want)
		}
	}
}

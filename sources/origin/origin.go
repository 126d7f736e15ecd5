package origin

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

// Origin is where the files of a directory come from.
type Origin struct {
	// Source is the address of the remote named origin, without credentials.
	Source string
	// Revision is "<branch>@sha1:<commit>", with "-dirty" at its end when files differ from the commit.
	Revision string
	// Created is when the commit was made.
	Created time.Time
}

// Of looks for the work tree that a directory is in; found is false when there is none or it has no commit.
func Of(dir string) (o Origin, found bool, err error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("open the Git repository of %s: %w", dir, err)
	}
	head, err := repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("read HEAD of %s: %w", dir, err)
	}
	commit, err := repo.CommitObject(head.Hash())
	if err != nil {
		return o, false, fmt.Errorf("read commit %s: %w", head.Hash(), err)
	}
	o.Created = commit.Committer.When.UTC()
	o.Revision = "sha1:" + head.Hash().String()
	if head.Name().IsBranch() {
		o.Revision = head.Name().Short() + "@" + o.Revision
	}
	if remote, err := repo.Remote("origin"); err == nil && len(remote.Config().URLs) > 0 {
		o.Source = clean(remote.Config().URLs[0])
	}
	dirty, err := changed(repo)
	if err != nil {
		return o, false, err
	}
	if dirty {
		o.Revision += "-dirty"
	}
	return o, true, nil
}

func changed(repo *git.Repository) (bool, error) {
	tree, err := repo.Worktree()
	if errors.Is(err, git.ErrIsBareRepository) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the work tree: %w", err)
	}
	status, err := tree.Status()
	if err != nil {
		return false, fmt.Errorf("compare the work tree with its commit: %w", err)
	}
	return !status.IsClean(), nil
}

// clean takes credentials out of an address; user@host:path is written as the URL that it means.
func clean(raw string) string {
	if !strings.Contains(raw, "://") {
		host, path, found := strings.Cut(raw, ":")
		if !found {
			return ""
		}
		raw = "ssh://" + host + "/" + path
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "file" {
		return ""
	}
	u.User = nil
	return u.String()
}

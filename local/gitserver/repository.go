package gitserver

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

// repository is one that is served.
type repository struct {
	dir    string // GIT_DIR
	common string // where the references are, if not in dir; empty for bare repositories

	notify sync.Mutex // one notification at a time
	seen   map[string]string

	watcher *fsnotify.Watcher
}

// config are git settings, passed through the environment so that nothing is written into a user's repository.
func (r *repository) config() []string {
	settings := [][2]string{
		{"http.receivepack", "true"},
		{"uploadpack.allowAnySHA1InWant", "true"}, // a commit pin is fetched by itself
		{"uploadpack.allowFilter", "true"},        // a sparse checkout transfers what it shows
		{"receive.denyCurrentBranch", "updateInstead"},
		{"safe.directory", r.dir},
	}
	env := []string{"GIT_CONFIG_COUNT=" + strconv.Itoa(len(settings))}
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	return env
}

// branches returns what HEAD and each branch point to.
func (r *repository) branches() (map[string]string, error) {
	opened, err := git.PlainOpenWithOptions(r.dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	head, err := opened.Storer.Reference(plumbing.HEAD)
	if err != nil {
		return nil, fmt.Errorf("read HEAD: %w", err)
	}
	branches := map[string]string{plumbing.HEAD.String(): head.Target().String()}
	list, err := opened.Branches()
	if err != nil {
		return nil, fmt.Errorf("list branches: %w", err)
	}
	err = list.ForEach(func(b *plumbing.Reference) error {
		branches[b.Name().String()] = b.Hash().String()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list branches: %w", err)
	}
	return branches, nil
}

func (r *repository) remember() error {
	_, err := r.changed()
	return err
}

// changed reports whether a branch differs from the last call, and remembers what it saw.
func (r *repository) changed() (bool, error) {
	now, err := r.branches()
	if err != nil || maps.Equal(now, r.seen) {
		return false, err
	}
	r.seen = now
	return true, nil
}

// settle is how long the files of a repository must be quiet before they are read: a commit touches several.
const settle = 50 * time.Millisecond

// watch calls changed after references were written on disk.
func (r *repository) watch(changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", r.dir, err)
	}
	r.watcher = watcher
	for _, dir := range []string{r.dir, r.common, filepath.Join(r.dir, "logs")} {
		if err := watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("watch %s: %w", dir, err), r.stop())
		}
	}
	r.watchBelow(filepath.Join(r.common, "refs", "heads"))
	go r.follow(changed)
	return nil
}

// watchBelow adds a directory and those inside it, since a branch name may have slashes.
func (r *repository) watchBelow(root string) {
	_ = filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = r.watcher.Add(dir)
		}
		return nil
	})
}

func (r *repository) follow(changed func()) {
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	for {
		select {
		case event, open := <-r.watcher.Events:
			if !open {
				return
			}
			if info, err := os.Stat(event.Name); event.Has(fsnotify.Create) && err == nil && info.IsDir() {
				r.watchBelow(event.Name)
			}
			quiet.Reset(settle)
		case _, open := <-r.watcher.Errors:
			if !open {
				return
			}
			quiet.Reset(settle) // events were lost: look anyway
		case <-quiet.C:
			changed()
		}
	}
}

func (r *repository) stop() error {
	if r.watcher == nil {
		return nil
	}
	if err := r.watcher.Close(); err != nil {
		return fmt.Errorf("stop watching %s: %w", r.dir, err)
	}
	return nil
}

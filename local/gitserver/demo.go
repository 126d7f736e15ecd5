package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// DemoBranch is the branch that InitDemo commits to.
const DemoBranch = "main"

// InitDemo makes a bare repository with the files of a tree in its first commit. A repository that has commits is left
// as it is; one that an interrupted call left is completed.
func InitDemo(ctx context.Context, dir string, files fs.FS) error {
	s := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRUDefault())
	branch := plumbing.NewBranchReferenceName(DemoBranch)
	_, err := git.InitWithOptions(s, nil, git.InitOptions{DefaultBranch: branch})
	if err != nil && !errors.Is(err, git.ErrRepositoryAlreadyExists) {
		return fmt.Errorf("make demo repository in %s: %w", dir, err)
	}
	if _, err := s.Reference(branch); err == nil {
		return nil
	}
	d := &demo{ctx: ctx, storage: s, files: files}
	root, err := d.directory(".")
	if err != nil {
		return fmt.Errorf("fill demo repository in %s: %w", dir, err)
	}
	commit, err := d.commit(root)
	if err != nil {
		return fmt.Errorf("commit to demo repository in %s: %w", dir, err)
	}
	if err := s.SetReference(plumbing.NewHashReference(branch, commit)); err != nil {
		return fmt.Errorf("create branch of demo repository in %s: %w", dir, err)
	}
	return complete(dir)
}

// complete adds the directories that git expects and go-git makes only on demand.
func complete(dir string) error {
	for _, sub := range []string{"refs/heads", "refs/tags", "objects/info", "objects/pack"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("complete demo repository: %w", err)
		}
	}
	return nil
}

type demo struct {
	ctx     context.Context //nolint:containedctx // lives as long as one call of InitDemo
	storage storage.Storer
	files   fs.FS
}

func (d *demo) directory(dir string) (plumbing.Hash, error) {
	list, err := fs.ReadDir(d.files, dir)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("read directory: %w", err)
	}
	t := &object.Tree{}
	for _, f := range list {
		if err := d.ctx.Err(); err != nil {
			return plumbing.ZeroHash, fmt.Errorf("stopped: %w", err)
		}
		e, err := d.entry(path.Join(dir, f.Name()), f)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		t.Entries = append(t.Entries, e)
	}
	slices.SortFunc(t.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return d.store(t.Encode)
}

// sortName is the name that Git sorts a tree by: a directory counts as if it ended in a slash.
func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func (d *demo) entry(name string, f fs.DirEntry) (object.TreeEntry, error) {
	if f.IsDir() {
		hash, err := d.directory(name)
		return object.TreeEntry{Name: f.Name(), Mode: filemode.Dir, Hash: hash}, err
	}
	content, err := fs.ReadFile(d.files, name)
	if err != nil {
		return object.TreeEntry{}, fmt.Errorf("read file: %w", err)
	}
	hash, err := d.store(func(o plumbing.EncodedObject) error {
		o.SetType(plumbing.BlobObject)
		w, err := o.Writer()
		if err != nil {
			return fmt.Errorf("open blob: %w", err)
		}
		_, err = w.Write(content)
		return errors.Join(err, w.Close())
	})
	return object.TreeEntry{Name: f.Name(), Mode: filemode.Regular, Hash: hash}, err
}

func (d *demo) commit(root plumbing.Hash) (plumbing.Hash, error) {
	who := object.Signature{Name: "Slipway", Email: "demo@slipway.dev", When: time.Now()}
	c := &object.Commit{Author: who, Committer: who, TreeHash: root, Message: "Add the demo: one machine and its disk\n"}
	return d.store(c.Encode)
}

func (d *demo) store(encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	o := d.storage.NewEncodedObject()
	if err := encode(o); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode object: %w", err)
	}
	hash, err := d.storage.SetEncodedObject(o)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store object: %w", err)
	}
	return hash, nil
}

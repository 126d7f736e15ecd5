package git

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"slipway.dev/slipway/sources/ignore"
	"slipway.dev/slipway/sources/tree"
)

// maxDepth is how many directories may stand inside each other.
const maxDepth = 128

// filter decides which paths of a commit are shown.
type filter struct {
	rules  *ignore.Rules
	sparse []string
}

func newFilter(o Options) (*filter, error) {
	f := &filter{rules: ignore.New(o.Ignore)}
	for _, dir := range o.Sparse {
		clean, err := tree.Resolve(".", strings.TrimPrefix(dir, "/"))
		if err != nil {
			return nil, fmt.Errorf("sparse checkout: %w", err)
		}
		if clean == "." {
			return &filter{rules: f.rules}, nil
		}
		f.sparse = append(f.sparse, clean)
	}
	return f, nil
}

// shows reports whether a path is shown; for directories, whether anything below may be.
func (f *filter) shows(name string, isDir bool) bool {
	return f.sparseShows(name, isDir) && f.rules.Shows(name, isDir)
}

func (f *filter) sparseShows(name string, isDir bool) bool {
	if len(f.sparse) == 0 {
		return true
	}
	for _, dir := range f.sparse {
		if name == dir || strings.HasPrefix(name, dir+"/") || isDir && strings.HasPrefix(dir, name+"/") {
			return true
		}
	}
	return false
}

// walk lists the files of a commit.
type walk struct {
	pack    *pack
	show    *filter
	entries []tree.Entry
	hashes  map[string]plumbing.Hash
}

func (w *walk) directory(dir string, hash plumbing.Hash) error {
	if strings.Count(dir, "/") >= maxDepth {
		return fmt.Errorf("list files: %s is more than %d directories deep", dir, maxDepth)
	}
	t, err := object.GetTree(w.pack, hash)
	if err != nil {
		return fmt.Errorf("read directory %q: %w", dir, err)
	}
	if err := w.ignoreRules(dir, t); err != nil {
		return err
	}
	for _, e := range t.Entries {
		if strings.Contains(e.Name, "/") || tree.CheckPath(e.Name) != nil {
			return fmt.Errorf("list files: %w: %q in directory %q", tree.ErrPath, e.Name, dir)
		}
		if err := w.visit(path.Join(dir, e.Name), e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) ignoreRules(dir string, t *object.Tree) error {
	for _, e := range t.Entries {
		if e.Name != ignore.File || !e.Mode.IsFile() {
			continue
		}
		content, err := w.read(e.Hash)
		if err != nil {
			return fmt.Errorf("read %s: %w", path.Join(dir, ignore.File), err)
		}
		w.show.rules.Add(dir, string(content))
	}
	return nil
}

func (w *walk) visit(name string, e object.TreeEntry) error {
	if !w.show.shows(name, e.Mode == filemode.Dir) {
		return nil
	}
	switch e.Mode {
	case filemode.Dir:
		return w.directory(name, e.Hash)
	case filemode.Symlink:
		w.entries = append(w.entries, tree.Entry{Path: name, Mode: fs.ModeSymlink})
		return nil
	case filemode.Submodule:
		w.entries = append(w.entries, tree.Entry{Path: name, Mode: tree.ModeSubmodule})
		return nil
	}
	size, err := w.pack.EncodedObjectSize(e.Hash)
	if err != nil {
		return fmt.Errorf("read size of %s: %w", name, err)
	}
	mode := fs.FileMode(0o644)
	if e.Mode == filemode.Executable {
		mode = 0o755
	}
	w.entries = append(w.entries, tree.Entry{Path: name, Mode: mode, Size: size})
	w.hashes[name] = e.Hash
	return nil
}

func (w *walk) open(e tree.Entry) (io.ReadCloser, error) {
	content, err := w.read(w.hashes[e.Path])
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (w *walk) read(hash plumbing.Hash) ([]byte, error) {
	w.pack.mu.Lock()
	defer w.pack.mu.Unlock()
	blob, err := object.GetBlob(w.pack, hash)
	if err != nil {
		return nil, fmt.Errorf("find blob %s: %w", hash, err)
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", hash, err)
	}
	defer r.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", hash, err)
	}
	return content, nil
}

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
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/object"

	"slipway.dev/slipway/sources/tree"
)

// maxDepth is how many directories may stand inside each other.
const maxDepth = 128

// ignoreFile is read in each directory of a tree, as Flux does.
const ignoreFile = ".sourceignore"

// filter decides which paths of a commit are shown.
type filter struct {
	patterns []gitignore.Pattern // of the tree's own files, as they are met
	last     []gitignore.Pattern // of the options, which come last and so win
	sparse   []string
}

func newFilter(o Options) (*filter, error) {
	f := &filter{patterns: parsePatterns(defaultIgnore(), nil), last: parsePatterns(o.Ignore, nil)}
	for _, dir := range o.Sparse {
		clean, err := tree.Resolve(".", strings.TrimPrefix(dir, "/"))
		if err != nil {
			return nil, fmt.Errorf("sparse checkout: %w", err)
		}
		if clean == "." {
			return &filter{patterns: f.patterns, last: f.last}, nil
		}
		f.sparse = append(f.sparse, clean)
	}
	return f, nil
}

// defaultIgnore leaves out version control and disk images, compressed or not.
func defaultIgnore() string {
	lines := []string{".git", ".gitignore", ".gitmodules", ".gitattributes", ".hg", ".svn"}
	for _, image := range []string{"qcow2", "qcow", "raw", "img", "iso", "vmdk", "vhd", "vhdx", "vdi", "ova", "wim"} {
		lines = append(lines, "*."+image)
		for _, compression := range []string{"gz", "xz", "zst", "bz2"} {
			lines = append(lines, "*."+image+"."+compression)
		}
	}
	return strings.Join(lines, "\n")
}

func parsePatterns(text string, domain []string) []gitignore.Pattern {
	var patterns []gitignore.Pattern
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		patterns = append(patterns, gitignore.ParsePattern(line, domain))
	}
	return patterns
}

// shows reports whether a path is shown; for directories, whether anything below may be.
func (f *filter) shows(name string, isDir bool) bool {
	if !f.sparseShows(name, isDir) {
		return false
	}
	parts := strings.Split(name, "/")
	if result, decided := match(f.last, parts, isDir); decided {
		return result
	}
	result, _ := match(f.patterns, parts, isDir)
	return result
}

// match applies patterns, the last that says anything winning. Whatever is below a directory that is left out is never
// asked for.
func match(patterns []gitignore.Pattern, parts []string, isDir bool) (show, decided bool) {
	for i := len(patterns) - 1; i >= 0; i-- {
		result := patterns[i].Match(parts, isDir)
		if result == gitignore.NoMatch || inherited(patterns[i], parts, result) {
			continue
		}
		return result == gitignore.Include, true
	}
	return true, false
}

// inherited reports whether a pattern matches a path only because it matches a directory above it. That directory was
// decided on its own, so it says nothing about the path.
func inherited(p gitignore.Pattern, parts []string, result gitignore.MatchResult) bool {
	return len(parts) > 1 && p.Match(parts[:len(parts)-1], true) == result
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
		if e.Name != ignoreFile || !e.Mode.IsFile() {
			continue
		}
		content, err := w.read(e.Hash)
		if err != nil {
			return fmt.Errorf("read %s: %w", path.Join(dir, ignoreFile), err)
		}
		var domain []string
		if dir != "" {
			domain = strings.Split(dir, "/")
		}
		w.show.patterns = append(w.show.patterns, parsePatterns(string(content), domain)...)
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

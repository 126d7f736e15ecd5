package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/git/wire"
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

// clone returns a filter to which rules can be added without changing the first.
func (f *filter) clone() *filter {
	return &filter{rules: f.rules.Clone(), sparse: f.sparse}
}

var (
	errTooMany = errors.New("there is too much in the repository; narrow it down with ignore rules or a sparse checkout")
	errName    = errors.New("a name that is not allowed in a repository")
)

// walk lists the files of a commit.
type walk struct {
	repo     *objects
	show     *filter
	base     string // directory of the repository in the checkout
	descends bool   // submodules are fetched
	left     int    // entries that may still be met
	entries  []tree.Entry
	hashes   []pack.Hash // of the entries; zero for links
	modules  []module
	gitmods  pack.Hash   // the file that says where submodules are
	rules    []pack.Hash // not here, and needed to know what else is
	missing  []pack.Hash // not here
}

// module is a submodule where it stands in a tree.
type module struct {
	dir    string
	commit string
	url    string
}

// list adds the files of a commit to the checkout and returns the submodules among them. Files that the server left out
// are asked for: first those that decide which others are shown.
func (f *checkout) list(ctx context.Context, s *session, repo *objects, commit string, at place) ([]module, error) {
	root, err := repo.root(commit)
	if err != nil {
		return nil, err
	}
	for {
		w := &walk{repo: repo, show: f.show.clone(), base: at.dir, descends: f.options.Submodules, left: f.left}
		if err := w.directory(at.dir, root); err != nil {
			return nil, err
		}
		want := w.missing
		if len(w.rules) > 0 {
			want = w.rules
		}
		if len(want) == 0 {
			return f.add(w, at)
		}
		if err := repo.more(ctx, s, want); err != nil {
			return nil, err
		}
	}
}

// more asks for blobs that were left out. Each must be there afterwards, so that list comes to an end.
func (o *objects) more(ctx context.Context, s *session, want []pack.Hash) error {
	if !o.lazy {
		return fmt.Errorf("%w: a file of more than %d bytes; disk images belong in a registry, not in the source", errTooMany, o.limits.File)
	}
	request := wire.Request{}
	for _, h := range uniq(want) {
		request.Wants = append(request.Wants, h.String())
	}
	again, err := s.reopen(ctx)
	if err != nil {
		return err
	}
	defer again.Close()
	if err := o.receive(ctx, again, request); err != nil {
		return err
	}
	for _, h := range want {
		if o.find(h) == nil {
			return fmt.Errorf("%w: %s, or it has more than %d bytes", pack.ErrNotFound, h, o.limits.File)
		}
	}
	return nil
}

func uniq(hashes []pack.Hash) []pack.Hash {
	hashes = slices.Clone(hashes)
	slices.SortFunc(hashes, func(a, b pack.Hash) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(hashes)
}

// add takes over what a walk found.
func (f *checkout) add(w *walk, at place) ([]module, error) {
	f.left, f.show = w.left, w.show
	f.entries = append(f.entries, w.entries...)
	for i, e := range w.entries {
		f.blobs[e.Path] = blob{repo: w.repo, hash: w.hashes[i]}
	}
	if !f.options.Submodules {
		for _, m := range w.modules {
			f.entries = append(f.entries, tree.Entry{Path: m.dir, Mode: tree.ModeSubmodule})
		}
		return nil, nil
	}
	if len(w.modules) == 0 {
		return nil, nil
	}
	if w.gitmods == (pack.Hash{}) {
		return nil, fmt.Errorf("%w: %s is a submodule and there is no .gitmodules", errModule, w.modules[0].dir)
	}
	text, err := w.repo.get(w.gitmods, pack.Blob)
	if err != nil {
		return nil, fmt.Errorf("read .gitmodules: %w", err)
	}
	urls, err := parseModules(text)
	if err != nil {
		return nil, err
	}
	return locate(w.modules, urls, at.dir)
}

// open opens a file of the checkout.
func (f *checkout) open(e tree.Entry) (io.ReadCloser, error) {
	b := f.blobs[e.Path]
	if b.repo == nil {
		return nil, fmt.Errorf("%w: %s", fs.ErrNotExist, e.Path)
	}
	content, err := b.repo.get(b.hash, pack.Blob)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// root returns the tree of a commit.
func (o *objects) root(commit string) (pack.Hash, error) {
	raw, err := o.text(commit, pack.Commit)
	if err != nil {
		return pack.Hash{}, fmt.Errorf("read commit: %w", err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	hash, found := strings.CutPrefix(line, "tree ")
	if !found {
		return pack.Hash{}, fmt.Errorf("%w: commit %s has no tree", pack.ErrMalformed, commit)
	}
	return pack.ParseHash(hash)
}

// file is an entry of a directory as Git stores it.
type file struct {
	mode string
	name string
	hash pack.Hash
}

// The modes of a directory's entries, in octal digits.
const (
	modeDir       = "40000"
	modeLink      = "120000"
	modeSubmodule = "160000"
)

// parseTree reads a directory. Each entry is its mode, a space, its name, a zero byte and 20 bytes of hash.
func parseTree(b []byte) ([]file, error) {
	var files []file
	for len(b) > 0 {
		space, zero := bytes.IndexByte(b, ' '), bytes.IndexByte(b, 0)
		if space < 0 || zero < space || len(b) < zero+1+len(pack.Hash{}) {
			return nil, fmt.Errorf("%w: a directory", pack.ErrMalformed)
		}
		f := file{mode: string(b[:space]), name: string(b[space+1 : zero])}
		copy(f.hash[:], b[zero+1:])
		files, b = append(files, f), b[zero+1+len(f.hash):]
	}
	return files, nil
}

func (w *walk) directory(dir string, hash pack.Hash) error {
	if strings.Count(dir, "/") >= maxDepth {
		return fmt.Errorf("%w: %.64s… is more than %d directories deep", errTooMany, dir, maxDepth)
	}
	raw, err := w.repo.get(hash, pack.Tree)
	if err != nil {
		return fmt.Errorf("read directory %q: %w", dir, err)
	}
	files, err := parseTree(raw)
	if err != nil {
		return fmt.Errorf("read directory %q: %w", dir, err)
	}
	if err := w.ignoreRules(dir, files); err != nil {
		return err
	}
	for _, f := range files {
		if w.left--; w.left < 0 {
			return errTooMany
		}
		if err := checkName(f.name); err != nil {
			return fmt.Errorf("list directory %q: %w", dir, err)
		}
		if err := w.visit(path.Join(dir, f.name), f); err != nil {
			return err
		}
	}
	return nil
}

// ignorable are the code points that HFS+ leaves out when it compares names.
const ignorable = "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"

// checkName refuses what is no name of a file and, as Git does, what some file system takes for .git.
func checkName(name string) error {
	if strings.ContainsAny(name, "/\\") || tree.CheckPath(name) != nil {
		return fmt.Errorf("%w: %q", errName, name)
	}
	plain := strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune(ignorable, r) {
			return -1
		}
		return r
	}, name))
	plain, _, _ = strings.Cut(plain, ":") // the streams of NTFS
	plain = strings.TrimRight(plain, ". ")
	if plain == ".git" || plain == "git~1" || plain == "" {
		return fmt.Errorf("%w: %q", errName, name)
	}
	return nil
}

// ignoreRules reads the files of a directory that decide what is shown and where submodules are.
func (w *walk) ignoreRules(dir string, files []file) error {
	for _, f := range files {
		switch {
		case !strings.HasPrefix(f.mode, "100"):
		case f.name == ignore.File && w.need(f.hash):
			content, err := w.repo.get(f.hash, pack.Blob)
			if err != nil {
				return fmt.Errorf("read %s: %w", path.Join(dir, ignore.File), err)
			}
			w.show.rules.Add(dir, string(content))
		case f.name == ".gitmodules" && w.descends && dir == w.base && w.need(f.hash):
			w.gitmods = f.hash
		}
	}
	return nil
}

// need reports whether a file can be read; if not, it is asked for before others.
func (w *walk) need(h pack.Hash) bool {
	if w.repo.find(h) != nil {
		return true
	}
	w.rules = append(w.rules, h)
	return false
}

func (w *walk) visit(name string, f file) error {
	if !w.show.shows(name, f.mode == modeDir) {
		return nil
	}
	switch f.mode {
	case modeDir:
		return w.directory(name, f.hash)
	case modeSubmodule:
		w.modules = append(w.modules, module{dir: name, commit: f.hash.String()})
		return nil
	case modeLink:
		w.entry(tree.Entry{Path: name, Mode: fs.ModeSymlink}, pack.Hash{})
		return nil
	case "100644", "100664", "100755":
		return w.regular(name, f)
	}
	return fmt.Errorf("list files: %w: %q has the mode %.16q", errName, name, f.mode)
}

func (w *walk) regular(name string, f file) error {
	p := w.repo.find(f.hash)
	if p == nil {
		if !w.repo.lazy {
			return fmt.Errorf("%w: %s has more than %d bytes; disk images belong in a registry, not in the source", errTooMany, name, w.repo.limits.File)
		}
		w.missing = append(w.missing, f.hash)
		return nil
	}
	size, err := p.Size(f.hash)
	if err != nil {
		return fmt.Errorf("read size of %s: %w", name, err)
	}
	mode := fs.FileMode(0o644)
	if f.mode == "100755" {
		mode = 0o755
	}
	w.entry(tree.Entry{Path: name, Mode: mode, Size: size}, f.hash)
	return nil
}

func (w *walk) entry(e tree.Entry, h pack.Hash) {
	w.entries, w.hashes = append(w.entries, e), append(w.hashes, h)
}

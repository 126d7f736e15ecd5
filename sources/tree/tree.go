package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

var (
	// ErrSymlink says that a path is, or leads through, a symbolic link.
	ErrSymlink = errors.New("is a symbolic link; links are not followed, put the file itself there")
	// ErrSubmodule says that a path is, or leads into, a Git submodule.
	ErrSubmodule = errors.New("is a Git submodule; submodules are not fetched, put the files themselves there")
)

// ModeSubmodule marks the entry of a Git submodule.
const ModeSubmodule = fs.ModeIrregular

// Entry is a file of a tree. Directories are not listed: they follow from the paths.
type Entry struct {
	// Path is relative to the root and slash-separated.
	Path string
	// Mode is 0o644, 0o755, fs.ModeSymlink or ModeSubmodule.
	Mode fs.FileMode
	// Size is the length of the content in bytes.
	Size int64
}

// Opener opens the content of an entry. It is called for regular files only, and from many goroutines.
type Opener func(Entry) (io.ReadCloser, error)

// FS is a read-only tree. It implements fs.ReadDirFS, fs.ReadFileFS and fs.StatFS and is safe for concurrent use when
// its Opener is.
type FS struct {
	nodes map[string]*node
	open  Opener
}

type node struct {
	entry    Entry
	children []fs.DirEntry
}

// New builds a tree. Two entries of one path, an entry below a file, and names that CheckPath refuses are errors.
func New(entries []Entry, open Opener) (*FS, error) {
	t := &FS{nodes: make(map[string]*node, len(entries)+1), open: open}
	t.nodes["."] = directory(".")
	for _, e := range entries {
		if err := CheckPath(e.Path); err != nil {
			return nil, err
		}
		if err := t.add(e); err != nil {
			return nil, err
		}
	}
	for _, n := range t.nodes {
		slices.SortFunc(n.children, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return t, nil
}

func directory(name string) *node {
	return &node{entry: Entry{Path: name, Mode: fs.ModeDir | 0o755}}
}

func (t *FS) add(e Entry) error {
	if _, found := t.nodes[e.Path]; found {
		return fmt.Errorf("%w: %q stands there twice", ErrPath, e.Path)
	}
	parent, err := t.parent(e.Path)
	if err != nil {
		return err
	}
	n := &node{entry: e}
	t.nodes[e.Path] = n
	parent.children = append(parent.children, dirEntry{n})
	return nil
}

// parent returns the directory of name and makes it, and those above it, when they are not there.
func (t *FS) parent(name string) (*node, error) {
	dir := path.Dir(name)
	if n, found := t.nodes[dir]; found {
		if !n.entry.Mode.IsDir() {
			return nil, fmt.Errorf("%w: %q is below %q, which is a file", ErrPath, name, dir)
		}
		return n, nil
	}
	above, err := t.parent(dir)
	if err != nil {
		return nil, err
	}
	n := directory(dir)
	t.nodes[dir] = n
	above.children = append(above.children, dirEntry{n})
	return n, nil
}

// Open opens a file or directory of the tree.
func (t *FS) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.entry.Mode.IsDir() {
		return &openDir{node: n}, nil
	}
	content, err := t.open(n.entry)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{ReadCloser: content, node: n}, nil
}

// ReadDir lists a directory, sorted by name. Symbolic links are listed with their type.
func (t *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.entry.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("is not a directory")}
	}
	return slices.Clone(n.children), nil
}

// ReadFile returns the content of a file.
func (t *FS) ReadFile(name string) ([]byte, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

// Stat describes a file or directory; like Open it does not follow symbolic links.
func (t *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{n}, nil
}

func (t *FS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if n, found := t.nodes[name]; found {
		if err := Usable(n.entry.Mode); err != nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
		return n, nil
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		n, found := t.nodes[dir]
		if !found {
			continue
		}
		if err := Usable(n.entry.Mode); err != nil {
			return nil, &fs.PathError{Op: op, Path: dir, Err: err}
		}
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Usable reports why a file of this mode is listed but cannot be used: ErrSymlink, ErrSubmodule or, for what can be
// used, nil.
func Usable(mode fs.FileMode) error {
	switch {
	case mode&fs.ModeSymlink != 0:
		return ErrSymlink
	case mode&ModeSubmodule != 0:
		return ErrSubmodule
	}
	return nil
}

type fileInfo struct{ node *node }

func (i fileInfo) Name() string       { return path.Base(i.node.entry.Path) }
func (i fileInfo) Size() int64        { return i.node.entry.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.node.entry.Mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.node.entry.Mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

type dirEntry struct{ node *node }

func (d dirEntry) Name() string               { return path.Base(d.node.entry.Path) }
func (d dirEntry) IsDir() bool                { return d.node.entry.Mode.IsDir() }
func (d dirEntry) Type() fs.FileMode          { return d.node.entry.Mode.Type() }
func (d dirEntry) Info() (fs.FileInfo, error) { return fileInfo(d), nil }

type openFile struct {
	io.ReadCloser
	node *node
}

func (f *openFile) Stat() (fs.FileInfo, error) { return fileInfo{f.node}, nil }

type openDir struct {
	node *node
	next int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return fileInfo{d.node}, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.entry.Path, Err: errors.New("is a directory")}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.node.children[d.next:]
	if n <= 0 {
		d.next = len(d.node.children)
		return slices.Clone(rest), nil
	}
	if len(rest) == 0 {
		return nil, io.EOF
	}
	rest = rest[:min(n, len(rest))]
	d.next += len(rest)
	return slices.Clone(rest), nil
}

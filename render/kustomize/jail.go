package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"slipway.dev/slipway/sources/tree"
)

const (
	treeRoot     = "/tree"      // where kustomize sees the source tree
	manifestRoot = "/manifests" // where it sees the manifests of it, annotated
	overlayRoot  = "/overlay"   // where it sees what we add
)

// errReadOnly answers every attempt to write.
var errReadOnly = errors.New("a render writes no files")

// jail is the only file system that kustomize gets: the source tree below /tree, and a few files of ours above it. It
// is used by one render in one goroutine.
type jail struct {
	tree  fs.FS
	extra map[string][]byte                 // files of ours, by absolute path; they hide those of the tree
	dirs  map[string]map[string]fs.FileMode // what stands in a directory of the tree, by relative path

	sizes map[string]int // bytes of the files that were read
	total int            // of those
	most  int            // that it may be

	failure error // of the tree itself, met by kustomize, which reports it as if the file were wrong
}

func newJail(t fs.FS) *jail {
	return &jail{tree: t, extra: map[string][]byte{}, dirs: map[string]map[string]fs.FileMode{}, sizes: map[string]int{}, most: maxRead}
}

// absolute is the path that kustomize uses for one of the tree.
func absolute(name string) string { return path.Join(treeRoot, name) }

// relative is the path within the tree of one that kustomize uses.
func relative(name string) (string, bool) {
	name = path.Clean(name)
	if name == treeRoot {
		return ".", true
	}
	return strings.CutPrefix(name, treeRoot+"/")
}

// list returns what stands in a directory of the tree.
func (j *jail) list(dir string) (map[string]fs.FileMode, error) {
	if list, found := j.dirs[dir]; found {
		return list, nil
	}
	entries, err := fs.ReadDir(j.tree, dir)
	if err != nil {
		return nil, fmt.Errorf("list directory: %w", err)
	}
	list := make(map[string]fs.FileMode, len(entries))
	for _, e := range entries {
		list[e.Name()] = e.Type()
	}
	j.dirs[dir] = list
	return list, nil
}

// pathFault is what is wrong with a path of the source. Any other error of the jail is a failure of the tree itself.
type pathFault struct {
	path    string
	problem string
	missing bool
}

// Error implements error.
func (f *pathFault) Error() string { return f.path + " " + f.problem }

func missing(name string) error {
	return &pathFault{path: name, problem: "is not in the source", missing: true}
}

// mode returns the type of a file of the tree. It looks at each directory on the way, because the tree itself may be
// one that follows links.
func (j *jail) mode(name string) (fs.FileMode, error) {
	mode, dir := fs.ModeDir, "."
	if name == "." {
		return mode, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		list, err := j.list(dir)
		if err != nil {
			return 0, err
		}
		found := false
		if mode, found = list[part]; !found {
			return 0, missing(name)
		}
		dir = path.Join(dir, part)
		if err := tree.Usable(mode); err != nil {
			return 0, &pathFault{path: dir, problem: err.Error()}
		}
		if !mode.IsDir() && dir != name {
			return 0, missing(name)
		}
	}
	if !mode.IsDir() && !mode.IsRegular() {
		return 0, &pathFault{path: name, problem: "is neither a file nor a directory"}
	}
	return mode, nil
}

// read returns a file of the tree.
func (j *jail) read(name string) ([]byte, error) {
	mode, err := j.mode(name)
	if err != nil {
		return nil, err
	}
	if mode.IsDir() {
		return nil, &pathFault{path: name, problem: "is a directory"}
	}
	content, err := fs.ReadFile(j.tree, name)
	if err != nil {
		return nil, fmt.Errorf("read source file: %w", err)
	}
	j.total += len(content) - j.sizes[name]
	j.sizes[name] = len(content)
	if j.total > j.most {
		return nil, &pathFault{path: name, problem: fmt.Sprintf("brings what is read over %d MiB; split the source into several Environments", j.most>>20)}
	}
	return content, nil
}

// ReadFile implements filesys.FileSystem.
func (j *jail) ReadFile(name string) ([]byte, error) {
	if content, found := j.extra[path.Clean(name)]; found {
		return content, nil
	}
	inside, ok := relative(name)
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	content, err := j.read(inside)
	var wrong *pathFault
	if err != nil && !errors.As(err, &wrong) {
		j.failure = err
	}
	return content, err
}

// IsDir implements filesys.FileSystem.
func (j *jail) IsDir(name string) bool {
	if path.Clean(name) == overlayRoot {
		return true
	}
	inside, ok := relative(name)
	if !ok {
		return false
	}
	mode, err := j.mode(inside)
	return err == nil && mode.IsDir()
}

// Exists implements filesys.FileSystem.
func (j *jail) Exists(name string) bool {
	if _, found := j.extra[path.Clean(name)]; found || path.Clean(name) == overlayRoot {
		return true
	}
	inside, ok := relative(name)
	if !ok {
		return false
	}
	_, err := j.mode(inside)
	return err == nil
}

// CleanedAbs implements filesys.FileSystem.
func (j *jail) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	name = path.Clean(name)
	switch {
	case !j.Exists(name):
		return "", "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
	case j.IsDir(name):
		return filesys.ConfirmedDir(name), "", nil
	}
	return filesys.ConfirmedDir(path.Dir(name)), path.Base(name), nil
}

// The rest of filesys.FileSystem is not used by a build, or would write.

func (j *jail) Create(string) (filesys.File, error)  { return nil, errReadOnly }
func (j *jail) Mkdir(string) error                   { return errReadOnly }
func (j *jail) MkdirAll(string) error                { return errReadOnly }
func (j *jail) RemoveAll(string) error               { return errReadOnly }
func (j *jail) WriteFile(string, []byte) error       { return errReadOnly }
func (j *jail) Open(string) (filesys.File, error)    { return nil, errors.ErrUnsupported }
func (j *jail) ReadDir(string) ([]string, error)     { return nil, errors.ErrUnsupported }
func (j *jail) Glob(string) ([]string, error)        { return nil, nil }
func (j *jail) Walk(string, filepath.WalkFunc) error { return errors.ErrUnsupported }

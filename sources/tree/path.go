package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPath is the longest path of a tree, in bytes.
const MaxPath = 1024

// ErrPath says that a name cannot stand in a tree.
var ErrPath = errors.New("path is not allowed in a source tree")

// ErrEscape says that a relative reference leads out of the tree.
var ErrEscape = errors.New("path leads out of the source tree")

// CheckPath reports whether name may stand in a tree: slash-separated, relative, clean, valid UTF-8, without control
// characters and not longer than MaxPath. The error is an ErrPath.
func CheckPath(name string) error {
	switch {
	case len(name) > MaxPath:
		return fmt.Errorf("%w: %q… is %d bytes long, the limit is %d", ErrPath, name[:32], len(name), MaxPath)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: %q is not valid UTF-8", ErrPath, name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: %q has a control character", ErrPath, name)
	case name == "." || !fs.ValidPath(name):
		return fmt.Errorf("%w: %q is not a clean relative path", ErrPath, name)
	}
	return nil
}

// Resolve returns the path that ref means when it stands in a file of the directory dir. An absolute ref and one that
// climbs above the root of the tree are ErrEscape.
func Resolve(dir, ref string) (string, error) {
	if path.IsAbs(ref) {
		return "", fmt.Errorf("%w: %q is absolute", ErrEscape, ref)
	}
	joined := path.Join(dir, ref)
	if joined == ".." || strings.HasPrefix(joined, "../") {
		return "", fmt.Errorf("%w: %q seen from %q", ErrEscape, ref, dir)
	}
	if joined == "." {
		return joined, nil
	}
	if err := CheckPath(joined); err != nil {
		return "", err
	}
	return joined, nil
}

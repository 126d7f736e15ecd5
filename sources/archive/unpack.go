package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway.dev/slipway/sources/ignore"
	"slipway.dev/slipway/sources/tree"
)

// Options change how an archive is unpacked.
type Options struct {
	// TempDir takes the spool file; empty is the system's.
	TempDir string
	// Ignore are lines in the syntax of .gitignore, applied after the defaults and the tree's own rules.
	Ignore string
	// All takes every file: no rules apply.
	All bool
	// Limits; the zero value is DefaultLimits.
	Limits Limits
}

// Tree is an unpacked archive. Close lets go of its spool file.
type Tree struct {
	*tree.FS
	spool *os.File
}

// Close implements io.Closer.
func (t *Tree) Close() error { return t.spool.Close() } //nolint:wrapcheck // a file's error names it

// Unpack reads an archive to its end.
func Unpack(ctx context.Context, in io.Reader, o Options) (*Tree, error) {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	spool, err := newSpool(o.TempDir)
	if err != nil {
		return nil, err
	}
	u := &unpacking{spool: spool, limits: o.Limits, at: map[string]int64{}}
	if !o.All {
		u.coarse = ignore.New(o.Ignore)
	}
	err = u.read(ctx, in)
	if err == nil {
		var files *tree.FS
		if files, err = u.build(o); err == nil {
			return &Tree{FS: files, spool: spool}, nil
		}
	}
	_ = spool.Close()
	return nil, err
}

// newSpool makes a file without a name, which a killed process leaves no trace of.
func newSpool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "spool-")
	if err != nil {
		return nil, fmt.Errorf("make a spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("unlink the spool file: %w", err)
	}
	return f, nil
}

// unpacking is one run of Unpack.
type unpacking struct {
	spool   *os.File
	size    int64
	limits  Limits
	coarse  *ignore.Rules // without the rules in the tree, which may come after what they speak about; nil shows all
	entries []tree.Entry
	at      map[string]int64
}

func (u *unpacking) read(ctx context.Context, in io.Reader) error {
	packed := &counter{in: in}
	plain, err := decompress(packed)
	if err != nil {
		return err
	}
	defer plain.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	archive := tar.NewReader(&bounded{in: plain, packed: packed, limits: u.limits})
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("unpack: %w", context.Cause(ctx))
		}
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, ErrRefused):
			return err //nolint:wrapcheck // made here
		case err != nil:
			return refused("it is not a tar archive that can be read: %v", err)
		case n == u.limits.Entries:
			return refused("it has more than %d entries", u.limits.Entries)
		}
		if err := u.entry(header, archive); err != nil {
			return err
		}
	}
}

// decompress tells the compression by the first bytes, since media types lie.
func decompress(in io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReader(in)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, refused("its gzip header cannot be read: %v", err)
		}
		return z, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, refused("its zstd header cannot be read: %v", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}

func (u *unpacking) entry(header *tar.Header, content io.Reader) error {
	name, err := cleanName(header.Name)
	if err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeSymlink:
	case tar.TypeLink:
		return refused("%q is a hard link; put the file itself there", name)
	default:
		return refused("%q is neither a file, a directory nor a symbolic link", name)
	}
	if name == "." {
		return refused("an entry has no name")
	}
	if !u.shown(name) {
		return nil
	}
	if _, twice := u.at[name]; twice {
		return refused("%q stands there twice", name)
	}
	u.at[name] = u.size
	if header.Typeflag == tar.TypeSymlink {
		u.entries = append(u.entries, tree.Entry{Path: name, Mode: fs.ModeSymlink})
		return nil
	}
	return u.file(name, header, content)
}

// cleanName accepts what tar writes for a tree ("./a", "a/") and refuses what leads elsewhere.
func cleanName(name string) (string, error) {
	trimmed := strings.TrimSuffix(name, "/")
	for strings.HasPrefix(trimmed, "./") {
		trimmed = strings.TrimPrefix(trimmed, "./")
	}
	if trimmed == "." || trimmed == "" && !strings.HasPrefix(name, "/") {
		return ".", nil
	}
	if err := tree.CheckPath(trimmed); err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return trimmed, nil
}

// shown asks for a file and each directory above it.
func (u *unpacking) shown(name string) bool { return u.coarse == nil || shows(u.coarse, name) }

func shows(rules *ignore.Rules, name string) bool {
	for i, c := range name {
		if c == '/' && !rules.Shows(name[:i], true) {
			return false
		}
	}
	return rules.Shows(name, false)
}

func (u *unpacking) file(name string, header *tar.Header, content io.Reader) error {
	if header.Size > u.limits.FileBytes {
		return refused("%q has %d bytes, the limit is %d; disk images belong in a registry, not in the source", name, header.Size, u.limits.FileBytes)
	}
	if u.size += header.Size; u.size > u.limits.Bytes {
		return refused("its files have more than %d bytes; disk images belong in a registry, not in the source", u.limits.Bytes)
	}
	n, err := io.Copy(u.spool, content)
	switch {
	case errors.Is(err, ErrRefused):
		return err //nolint:wrapcheck // made here
	case err != nil:
		return refused("%q cannot be read: %v", name, err)
	case n != header.Size:
		return refused("%q has %d bytes where the archive says %d", name, n, header.Size)
	}
	mode := fs.FileMode(0o644)
	if header.Mode&0o111 != 0 {
		mode = 0o755
	}
	u.entries = append(u.entries, tree.Entry{Path: name, Mode: mode, Size: n})
	return nil
}

// build makes the tree of what the rules in the tree leave.
func (u *unpacking) build(o Options) (*tree.FS, error) {
	all, err := tree.New(u.entries, u.open)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if o.All {
		return all, nil
	}
	rules, found, err := treeRules(all, u.entries, o.Ignore)
	if err != nil || !found {
		return all, err
	}
	var kept []tree.Entry
	for _, e := range u.entries {
		if shows(rules, e.Path) {
			kept = append(kept, e)
		}
	}
	files, err := tree.New(kept, u.open)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return files, nil
}

// treeRules are the rules of the tree's own .sourceignore files, those of outer directories first.
func treeRules(all *tree.FS, entries []tree.Entry, lines string) (rules *ignore.Rules, found bool, err error) {
	var files []tree.Entry
	for _, e := range entries {
		if path.Base(e.Path) == ignore.File && e.Mode.IsRegular() {
			files = append(files, e)
		}
	}
	slices.SortStableFunc(files, func(a, b tree.Entry) int { return strings.Count(a.Path, "/") - strings.Count(b.Path, "/") })
	rules = ignore.New(lines)
	for _, e := range files {
		content, err := all.ReadFile(e.Path)
		if err != nil {
			return nil, false, fmt.Errorf("read %s: %w", e.Path, err)
		}
		rules.Add(path.Dir(e.Path), string(content))
	}
	return rules, len(files) > 0, nil
}

func (u *unpacking) open(e tree.Entry) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(u.spool, u.at[e.Path], e.Size)), nil
}

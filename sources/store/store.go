package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"slipway.dev/slipway/sources/tree"
)

var (
	// ErrNotFound says that the store does not hold a tree, or not all of it. The remedy is to fetch the source again.
	ErrNotFound = errors.New("source tree is not in the store")
	// ErrRefused says that a tree breaks a limit or has a name that cannot be stored.
	ErrRefused = errors.New("source tree is refused")
)

// Limits bound what one tree may hold.
type Limits struct {
	// Files is the number of files.
	Files int
	// FileBytes is the size of the largest file.
	FileBytes int64
	// Bytes is the sum of the sizes of all files.
	Bytes int64
}

// DefaultLimits suit a repository of manifests: disk images do not belong in one.
var DefaultLimits = Limits{Files: 50_000, FileBytes: 32 << 20, Bytes: 512 << 20}

// Grace is how long a tree that was just stored survives Keep although nobody refers to it yet.
const Grace = 10 * time.Minute

// Store is a directory of trees. It is safe for concurrent use by one process.
type Store struct {
	dir    string
	limits Limits
	clock  clock.PassiveClock

	// collect is held for writing by Keep and for reading by whatever must not lose a file to it.
	collect sync.RWMutex

	mu    sync.Mutex
	fresh map[string]time.Time // trees stored by this process, by hexadecimal digest
}

// Option changes how a store works.
type Option func(*Store)

// WithLimits replaces DefaultLimits.
func WithLimits(l Limits) Option { return func(s *Store) { s.limits = l } }

// WithClock replaces the clock that Grace is measured with.
func WithClock(c clock.PassiveClock) Option { return func(s *Store) { s.clock = c } }

// Open makes the directory if needed, removes what an interrupted Put left, and returns the store.
func Open(dir string, options ...Option) (*Store, error) {
	s := &Store{dir: dir, limits: DefaultLimits, clock: clock.RealClock{}, fresh: map[string]time.Time{}}
	for _, o := range options {
		o(s)
	}
	if err := os.RemoveAll(s.temporary()); err != nil {
		return nil, fmt.Errorf("clear %s: %w", s.temporary(), err)
	}
	for _, d := range []string{s.trees(), s.blobs(), s.temporary()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("create source store: %w", err)
		}
	}
	return s, nil
}

func (s *Store) trees() string             { return filepath.Join(s.dir, "trees") }
func (s *Store) blobs() string             { return filepath.Join(s.dir, "blobs") }
func (s *Store) temporary() string         { return filepath.Join(s.dir, "tmp") }
func (s *Store) listing(hex string) string { return filepath.Join(s.trees(), hex) }
func (s *Store) blob(hex string) string    { return filepath.Join(s.blobs(), hex[:2], hex) }
func (s *Store) touch(hex string)          { s.mu.Lock(); s.fresh[hex] = s.clock.Now(); s.mu.Unlock() }
func (s *Store) isFresh(t time.Time) bool  { return s.clock.Since(t) < Grace }
func refused(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, a...)...)
}

// Put stores a tree and returns its digest. Storing the same tree again is cheap and changes nothing. Symbolic links
// are stored as what they are; opening one from the stored tree fails and names it.
func (s *Store) Put(ctx context.Context, t fs.FS) (digest string, err error) {
	digest, _, err = s.PutWithSize(ctx, t)
	return digest, err
}

// PutWithSize is Put that also returns the sum of the sizes of all files, in bytes.
func (s *Store) PutWithSize(ctx context.Context, t fs.FS) (digest string, size int64, err error) {
	s.collect.RLock()
	defer s.collect.RUnlock()
	p := &put{store: s, tree: t}
	err = fs.WalkDir(t, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("walk source tree: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store source tree: %w", context.Cause(ctx))
		}
		return p.visit(name, d)
	})
	if err != nil {
		return "", 0, err //nolint:wrapcheck // made above
	}
	listing := encode(p.items)
	hex := sum(listing)
	s.touch(hex)
	if err := s.write(s.listing(hex), listing); err != nil {
		return "", 0, fmt.Errorf("store source tree: %w", err)
	}
	return digestPrefix + hex, p.bytes, nil
}

// put is one run of Put.
type put struct {
	store *Store
	tree  fs.FS
	items []item
	bytes int64
}

func (p *put) visit(name string, d fs.DirEntry) error {
	if d.IsDir() {
		return nil
	}
	if err := tree.CheckPath(name); err != nil {
		return errors.Join(ErrRefused, err)
	}
	if len(p.items) == p.store.limits.Files {
		return refused("it has more than %d files; narrow it down with ignore rules or a sparse checkout", p.store.limits.Files)
	}
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		p.items = append(p.items, item{mode: modeLink, sum: sum(nil), path: name})
		return nil
	case d.Type()&tree.ModeSubmodule != 0:
		p.items = append(p.items, item{mode: modeSubmodule, sum: sum(nil), path: name})
		return nil
	case !d.Type().IsRegular():
		return refused("%s is neither a file nor a directory", name)
	}
	return p.file(name, d)
}

func (p *put) file(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	content, err := p.read(name)
	if err != nil {
		return err
	}
	p.bytes += int64(len(content))
	if p.bytes > p.store.limits.Bytes {
		return refused("its files have more than %d bytes; disk images belong in a registry, not in the source", p.store.limits.Bytes)
	}
	i := item{mode: modeFile, sum: sum(content), size: int64(len(content)), path: name}
	if info.Mode()&0o111 != 0 {
		i.mode = modeExecutable
	}
	p.items = append(p.items, i)
	if err := p.store.write(p.store.blob(i.sum), content); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

func (p *put) read(name string) ([]byte, error) {
	f, err := p.tree.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open source file: %w", err)
	}
	defer f.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	content, err := io.ReadAll(io.LimitReader(f, p.store.limits.FileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(content)) > p.store.limits.FileBytes {
		return nil, refused("%s has more than %d bytes; disk images belong in a registry, not in the source", name, p.store.limits.FileBytes)
	}
	return content, nil
}

// write puts content at its final path, unless it is there already, by way of a temporary file.
func (s *Store) write(final string, content []byte) error {
	if info, err := os.Stat(final); err == nil && info.Size() == int64(len(content)) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	f, err := os.CreateTemp(s.temporary(), "put-")
	if err != nil {
		return fmt.Errorf("make temporary file: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone already when all went well
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chmod(0o400), f.Close()); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	if err := os.Rename(f.Name(), final); err != nil {
		return fmt.Errorf("move into place: %w", err)
	}
	return nil
}

// Tree returns a stored tree. Its files are checked against their digests when they are read; a tree that is missing,
// incomplete or damaged is ErrNotFound, and fetching the source again repairs it.
func (s *Store) Tree(digest string) (fs.FS, error) {
	hex, ok := hexOf(digest)
	if !ok {
		return nil, fmt.Errorf("%w: %q is not a sha256 digest", ErrNotFound, digest)
	}
	s.collect.RLock()
	defer s.collect.RUnlock()
	listing, err := os.ReadFile(s.listing(hex))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, digest)
	}
	if sum(listing) != hex {
		return nil, s.damaged(s.listing(hex), digest)
	}
	items, err := decode(listing)
	if err != nil {
		return nil, fmt.Errorf("read listing of %s: %w", digest, err)
	}
	return s.build(digest, items)
}

func (s *Store) build(digest string, items []item) (fs.FS, error) {
	sums := make(map[string]string, len(items))
	entries := make([]tree.Entry, 0, len(items))
	for _, i := range items {
		sums[i.path] = i.sum
		entries = append(entries, i.entry())
	}
	t, err := tree.New(entries, func(e tree.Entry) (io.ReadCloser, error) {
		content, err := s.open(sums[e.Path])
		if err != nil { // the tree is no longer stored as a whole, and is not said to be
			err = errors.Join(err, ignoreMissing(os.Remove(s.listing(strings.TrimPrefix(digest, digestPrefix)))))
		}
		return content, err
	})
	if err != nil {
		return nil, fmt.Errorf("build tree of %s: %w", digest, err)
	}
	return t, nil
}

func (s *Store) open(hex string) (io.ReadCloser, error) {
	s.collect.RLock()
	defer s.collect.RUnlock()
	content, err := os.ReadFile(s.blob(hex))
	if err != nil {
		return nil, fmt.Errorf("%w: file %s%s", ErrNotFound, digestPrefix, hex)
	}
	if sum(content) != hex {
		return nil, s.damaged(s.blob(hex), digestPrefix+hex)
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// damaged removes a file that is not what its name says, so that the next Put writes it again.
func (s *Store) damaged(file, digest string) error {
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("%w: %s is damaged on disk and cannot be removed: %w", ErrNotFound, digest, err)
	}
	return fmt.Errorf("%w: %s was damaged on disk and has been removed", ErrNotFound, digest)
}

package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Base is a restored image that overlays may refer to.
type Base struct {
	Digest string
	File   string
	Size   int64
}

// ErrNoSpace says that the disk of the host is full.
var ErrNoSpace = errors.New("no space is left for disk files: free some, the work goes on by itself")

// Bases restores images, each digest once, and removes those that nothing needs.
type Bases struct {
	dir      string
	registry Registry

	mu     sync.Mutex
	pins   map[string]int // digests that running work holds
	single map[string]*sync.Mutex
}

const (
	baseSuffix    = ".raw"
	partialSuffix = ".partial"
)

// OpenBases makes the directory ready: half-restored images of an earlier process are removed.
func OpenBases(dir string, registry Registry) (*Bases, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open images: %w", err)
	}
	partial, err := filepath.Glob(filepath.Join(dir, "*"+partialSuffix))
	if err != nil {
		return nil, fmt.Errorf("open images: %w", err)
	}
	for _, file := range partial {
		if err := os.Remove(file); err != nil {
			return nil, fmt.Errorf("remove half-restored image: %w", err)
		}
	}
	return &Bases{dir: dir, registry: registry, pins: map[string]int{}, single: map[string]*sync.Mutex{}}, nil
}

// Acquire brings the image that the reference names. The base stays until release is called; from then on it stays as
// long as Collect is told that it is used.
func (b *Bases) Acquire(ctx context.Context, ref Reference, progress func(done, total int64)) (base Base, release func(), err error) {
	image, err := b.registry.Inspect(ctx, ref)
	if err != nil {
		return Base{}, nil, err
	}
	base = Base{Digest: image.Digest, File: b.File(image.Digest), Size: image.Size}
	turn := b.pin(image.Digest)
	release = sync.OnceFunc(func() { b.unpin(image.Digest) })
	turn.Lock()
	defer turn.Unlock()
	if err := b.restore(ctx, ref, base, progress); err != nil {
		release()
		return Base{}, nil, err
	}
	return base, release, nil
}

// File is where the base of a digest is kept.
func (b *Bases) File(digest string) string {
	return filepath.Join(b.dir, strings.ReplaceAll(digest, ":", "-")+baseSuffix)
}

func (b *Bases) pin(digest string) *sync.Mutex {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pins[digest]++
	if b.single[digest] == nil {
		b.single[digest] = &sync.Mutex{}
	}
	return b.single[digest]
}

func (b *Bases) unpin(digest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pins[digest]--; b.pins[digest] == 0 {
		delete(b.pins, digest)
		delete(b.single, digest)
	}
}

// restore writes into a partial file, which gets its name when it is complete and on disk.
func (b *Bases) restore(ctx context.Context, ref Reference, base Base, progress func(done, total int64)) error {
	if _, err := os.Stat(base.File); err == nil {
		return nil
	}
	partial := base.File + partialSuffix
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make base image: %w", spaceError(err))
	}
	err = b.registry.Restore(ctx, ref, file, progress)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Chmod(partial, 0o400)
	}
	if err == nil {
		err = os.Rename(partial, base.File)
	}
	if err != nil {
		_ = os.Remove(partial)
		return fmt.Errorf("make base image: %w", spaceError(err))
	}
	return nil
}

// Collect removes every base that is neither in use nor pinned by running work. The function is asked under the lock
// that keeps new work from pinning, so that its answer is not old.
func (b *Bases) Collect(used func() (map[string]bool, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	keep, err := used()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(b.dir, "*"+baseSuffix))
	if err != nil {
		return fmt.Errorf("list base images: %w", err)
	}
	for digest := range b.pins {
		keep[digest] = true
	}
	kept := map[string]bool{}
	for digest := range keep {
		kept[b.File(digest)] = true
	}
	for _, file := range files {
		if kept[file] {
			continue
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove unused base image: %w", err)
		}
	}
	return nil
}

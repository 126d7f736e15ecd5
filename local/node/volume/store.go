package volume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway.dev/slipway/local/node/qemu"
)

// Record says what a volume is. It is written last: a volume without one is not complete.
type Record struct {
	ID      string    `json:"id"`
	Owner   string    `json:"owner"` // for people: whose volume it is
	Size    int64     `json:"size"`  // bytes
	Base    string    `json:"base,omitempty"`
	Source  string    `json:"source,omitempty"`
	Created time.Time `json:"created"`
}

// Store keeps the volumes.
type Store struct {
	dir   string
	bases *Bases
	now   func() time.Time

	mu       sync.Mutex
	reserved map[string]bool // ids of volumes that running work needs for itself
}

// Errors that a caller decides by.
var (
	ErrNotFound = errors.New("there is no such volume")
	ErrTooSmall = errors.New("the volume is smaller than its image")
	ErrBusy     = errors.New("the volume is busy")
)

const (
	diskFile   = "disk.qcow2"
	recordFile = "volume.json"
)

// Open makes the store ready: volumes that an earlier process left half-made are removed.
func Open(dir string, bases *Bases, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, bases: bases, now: now, reserved: map[string]bool{}}
	return s, open(dir, s.Get)
}

// open makes a directory ready: what has no record is half-made, and removed.
func open(dir string, get func(id string) (Record, error)) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open volumes: %w", err)
	}
	ids, err := list(dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := get(id); errors.Is(err, ErrNotFound) {
			if err := os.RemoveAll(filepath.Join(dir, id)); err != nil {
				return fmt.Errorf("remove half-made volume: %w", err)
			}
		}
	}
	return nil
}

// list are the ids below a directory.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		ids = append(ids, entry.Name())
	}
	return ids, nil
}

// Reserve keeps others in this process from starting on a volume what cannot go side by side: a guest, a copy of a disk
// at rest, growth of a disk at rest. It fails with ErrBusy while somebody else has the volume.
func (s *Store) Reserve(ids ...string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if s.reserved[id] {
			return nil, fmt.Errorf("volume %s: %w", id, ErrBusy)
		}
	}
	for _, id := range ids {
		s.reserved[id] = true
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, id := range ids {
			delete(s.reserved, id)
		}
	}), nil
}

// File is the disk of a volume.
func (s *Store) File(id string) string { return filepath.Join(s.dir, id, diskFile) }

// Get returns a volume's record, or ErrNotFound.
func (s *Store) Get(id string) (Record, error) {
	var r Record
	err := readJSON(filepath.Join(s.dir, id, recordFile), &r)
	if err != nil {
		return Record{}, fmt.Errorf("volume %s: %w", id, err)
	}
	return r, nil
}

// readJSON reads what WriteJSON wrote, or says ErrNotFound.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read record %s: %w", path, err)
	}
	return nil
}

// Create makes a volume, empty or from an image. It may be called again after any failure.
func (s *Store) Create(ctx context.Context, want Record, from *Reference, progress func(done, total int64)) error {
	if _, err := s.Get(want.ID); err == nil {
		return nil
	}
	want.Created = s.now().UTC()
	if from == nil {
		return s.make(ctx, want, Base{})
	}
	base, release, err := s.bases.Acquire(ctx, *from, progress)
	if err != nil {
		return err
	}
	defer release()
	if base.Size > want.Size {
		return fmt.Errorf("%w: it has %d bytes, the image needs %d", ErrTooSmall, want.Size, base.Size)
	}
	want.Base, want.Source = base.Digest, from.String()
	return s.make(ctx, want, base)
}

func (s *Store) make(ctx context.Context, want Record, base Base) error {
	return s.build(want, func(file string) error {
		return CreateOverlay(ctx, file, qemu.Backing{File: base.File, Format: "raw"}, want.Size)
	})
}

// Restore makes a volume with the content of a snapshot. It may be called again after any failure.
func (s *Store) Restore(ctx context.Context, want Record, snapshots *Snapshots, snapshot string, progress func(done, total int64)) error {
	if _, err := s.Get(want.ID); err == nil {
		return nil
	}
	from, err := snapshots.Get(snapshot)
	if err != nil {
		return err
	}
	if from.Size > want.Size {
		return fmt.Errorf("%w: it has %d bytes, the snapshot needs %d", ErrTooSmall, want.Size, from.Size)
	}
	want.Created, want.Base, want.Source = s.now().UTC(), from.Base, "snapshot "+snapshot
	return s.build(want, func(file string) error {
		if err := copyFile(ctx, snapshots.File(snapshot), file, progress); err != nil {
			return err
		}
		return qemu.ResizeImage(ctx, file, want.Size)
	})
}

// build makes a volume's disk and then its record.
func (s *Store) build(want Record, disk func(file string) error) error {
	dir := filepath.Join(s.dir, want.ID)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("make volume %s: %w", want.ID, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make volume %s: %w", want.ID, spaceError(err))
	}
	err := disk(s.File(want.ID))
	if err == nil {
		err = WriteJSON(filepath.Join(dir, recordFile), want)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return fmt.Errorf("make volume %s: %w", want.ID, spaceError(err))
	}
	return nil
}

// CreateOverlay makes a qcow2 file. What is below it is named relatively, so that the whole tree can be moved.
func CreateOverlay(ctx context.Context, file string, over qemu.Backing, size int64) error {
	if over.File != "" {
		relative, err := filepath.Rel(filepath.Dir(file), over.File)
		if err != nil {
			return fmt.Errorf("name what is below disk %s: %w", file, err)
		}
		over.File = relative
	}
	if err := qemu.CreateOverlay(ctx, file, over, size); err != nil {
		return fmt.Errorf("make disk: %w", spaceError(err))
	}
	return nil
}

// Grow makes a volume larger. The caller says how the disk itself grows: by qemu-img, or by the QEMU that uses it.
func (s *Store) Grow(ctx context.Context, id string, size int64, grow func(ctx context.Context, file string, size int64) error) error {
	r, err := s.Get(id)
	if err != nil || r.Size >= size {
		return err
	}
	if err := grow(ctx, s.File(id), size); err != nil {
		return fmt.Errorf("grow volume %s to %d bytes: %w", id, size, spaceError(err))
	}
	r.Size = size
	if err := WriteJSON(filepath.Join(s.dir, id, recordFile), r); err != nil {
		return fmt.Errorf("grow volume %s: %w", id, spaceError(err))
	}
	return nil
}

// Delete removes a volume and all its data. Deleting what is not there succeeds.
func (s *Store) Delete(id string) error {
	if id == "" {
		return fmt.Errorf("delete volume: %w", ErrNotFound)
	}
	if err := remove(filepath.Join(s.dir, id)); err != nil {
		return fmt.Errorf("delete volume %s: %w", id, err)
	}
	return nil
}

// remove takes the records away first: what is left after a crash is then half-made and removed at the next start.
func remove(dir string) error {
	for _, record := range []string{recordFile, pendingFile} {
		if err := os.Remove(filepath.Join(dir, record)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err //nolint:wrapcheck // wrapped by the caller
		}
	}
	return os.RemoveAll(dir) //nolint:wrapcheck // wrapped by the caller
}

// UsedBases are the digests that volumes need.
func (s *Store) UsedBases() (map[string]bool, error) { return usedBases(s.dir, s.Get) }

func usedBases(dir string, get func(id string) (Record, error)) (map[string]bool, error) {
	ids, err := list(dir)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, id := range ids {
		r, err := get(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Base != "" {
			used[r.Base] = true
		}
	}
	return used, nil
}

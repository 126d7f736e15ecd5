package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Errors of the store.
var (
	// ErrNotFound is a volume or snapshot that is not there.
	ErrNotFound = errors.New("not found")
	// ErrDiffers is one of the name that is otherwise.
	ErrDiffers = errors.New("exists and is otherwise")
	// ErrTooSmall is a volume that does not hold what it is made from.
	ErrTooSmall = errors.New("smaller than its source")
)

const (
	recordFile = "record.json"
	dataName   = "data"
	unfinished = ".part"
)

// Record is what is known of a volume or snapshot. It is written last: what has no record is not there.
type Record struct {
	// ID is the handle, and the name of the directory.
	ID string `json:"id"`
	// Bytes is the capacity.
	Bytes int64 `json:"bytes"`
	// Block tells a file that is a device from a directory.
	Block bool `json:"block"`
	// Source is the handle of what it was copied from.
	Source string `json:"source,omitempty"`
	// Made is when it was made.
	Made time.Time `json:"made"`
}

// Store keeps volumes and snapshots as directories.
type Store struct {
	dir string
	// mu keeps two calls from making the same thing.
	mu sync.Mutex
}

// Kinds of what a store keeps.
const (
	Volumes   = "volumes"
	Snapshots = "snapshots"
)

// NewStore uses a directory, which is made.
func NewStore(dir string) (*Store, error) {
	for _, kind := range []string{Volumes, Snapshots} {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o755); err != nil {
			return nil, fmt.Errorf("prepare the store: %w", err)
		}
	}
	return &Store{dir: dir}, nil
}

// handles are names that lead nowhere else.
var handles = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$`)

// Path of the data of a volume or snapshot: a directory, or a file when it is a block device.
func (s *Store) Path(kind, id string) string { return filepath.Join(s.dir, kind, id, dataName) }

// Get reads a record.
func (s *Store) Get(kind, id string) (Record, error) {
	var record Record
	if !handles.MatchString(id) {
		return record, fmt.Errorf("read %s %q: %w", kind, id, ErrNotFound)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, kind, id, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return record, fmt.Errorf("read %s %s: %w", kind, id, ErrNotFound)
	}
	if err != nil {
		return record, fmt.Errorf("read %s %s: %w", kind, id, err)
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return record, fmt.Errorf("parse the record of %s %s: %w", kind, id, err)
	}
	return record, nil
}

// List reads all records of a kind.
func (s *Store) List(kind string) ([]Record, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	var records []Record
	for _, entry := range entries {
		record, err := s.Get(kind, entry.Name())
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// Origin is what something new is copied from.
type Origin struct{ Kind, ID string }

// Make makes a volume or snapshot, or finds that it was made. It is copied from the origin when there is one.
func (s *Store) Make(ctx context.Context, kind string, wanted Record, origin *Origin) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !handles.MatchString(wanted.ID) {
		return Record{}, fmt.Errorf("make %s %q: the name must match %s", kind, wanted.ID, handles)
	}
	if origin != nil {
		wanted.Source = origin.ID
	}
	have, err := s.Get(kind, wanted.ID)
	switch {
	case err == nil && same(have, wanted):
		return have, nil
	case err == nil:
		return Record{}, fmt.Errorf("make %s %s: %w", kind, wanted.ID, ErrDiffers)
	case !errors.Is(err, ErrNotFound):
		return Record{}, err
	}
	if origin == nil {
		return s.finish(kind, wanted, func(data string) error { return blank(data, wanted) })
	}
	return s.copy(ctx, kind, wanted, *origin)
}

func same(have, wanted Record) bool {
	return have.Bytes == wanted.Bytes && have.Block == wanted.Block && have.Source == wanted.Source
}

func (s *Store) copy(ctx context.Context, kind string, wanted Record, origin Origin) (Record, error) {
	source, err := s.Get(origin.Kind, origin.ID)
	if err != nil {
		return Record{}, err
	}
	if source.Block != wanted.Block {
		return Record{}, fmt.Errorf("copy %s to %s: one is a block device and the other is not: %w", origin.ID, wanted.ID, ErrDiffers)
	}
	if wanted.Bytes < source.Bytes {
		return Record{}, fmt.Errorf("copy %s of %d bytes to %s of %d: %w", origin.ID, source.Bytes, wanted.ID, wanted.Bytes, ErrTooSmall)
	}
	return s.finish(kind, wanted, func(data string) error {
		if err := duplicate(ctx, s.Path(origin.Kind, origin.ID), data); err != nil {
			return err
		}
		return fit(data, wanted)
	})
}

// duplicate copies with holes, owners and, where the file system can, without copying a block.
func duplicate(ctx context.Context, from, to string) error {
	output, err := exec.CommandContext(ctx, "cp", "--archive", "--reflink=auto", "--sparse=always", "--no-target-directory", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy data: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// blank makes data without content.
func blank(data string, wanted Record) error {
	if wanted.Block {
		return fit(data, wanted)
	}
	if err := os.Mkdir(data, 0o777); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	// Any user of a pod may write, as in an empty volume of a cluster; the mask of this process is not asked.
	if err := os.Chmod(data, 0o777); err != nil {
		return fmt.Errorf("open a directory to all: %w", err)
	}
	return nil
}

// fit gives a device's file its size.
func fit(data string, wanted Record) error {
	if !wanted.Block {
		return nil
	}
	file, err := os.OpenFile(data, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open a device's file: %w", err)
	}
	if err := errors.Join(file.Truncate(wanted.Bytes), file.Close()); err != nil {
		return fmt.Errorf("size a device's file: %w", err)
	}
	return nil
}

// finish makes the data beside its place, and moves it there with its record.
func (s *Store) finish(kind string, record Record, make func(data string) error) (Record, error) {
	final := filepath.Join(s.dir, kind, record.ID)
	part := final + unfinished
	if err := os.RemoveAll(part); err != nil {
		return Record{}, fmt.Errorf("remove what was not finished: %w", err)
	}
	if err := os.Mkdir(part, 0o755); err != nil {
		return Record{}, fmt.Errorf("make %s %s: %w", kind, record.ID, err)
	}
	if err := make(filepath.Join(part, dataName)); err != nil {
		return Record{}, fmt.Errorf("make %s %s: %w", kind, record.ID, errors.Join(err, os.RemoveAll(part)))
	}
	if err := writeRecord(filepath.Join(part, recordFile), record); err != nil {
		return Record{}, err
	}
	if err := os.Rename(part, final); err != nil {
		return Record{}, fmt.Errorf("make %s %s: %w", kind, record.ID, err)
	}
	return record, nil
}

// Grow makes a volume larger, or finds it large enough.
func (s *Store) Grow(id string, bytes int64) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, err := s.Get(Volumes, id)
	if err != nil || record.Bytes >= bytes {
		return record, err
	}
	record.Bytes = bytes
	if err := fit(s.Path(Volumes, id), record); err != nil {
		return Record{}, err
	}
	return record, writeRecord(filepath.Join(s.dir, Volumes, id, recordFile), record)
}

// Remove deletes a volume or snapshot; one that is not there is gone.
func (s *Store) Remove(kind, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !handles.MatchString(id) {
		return nil
	}
	dir := filepath.Join(s.dir, kind, id)
	// Without its record it is not there, also when the rest takes two attempts.
	if err := os.Remove(filepath.Join(dir, recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s %s: %w", kind, id, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s %s: %w", kind, id, err)
	}
	return nil
}

func writeRecord(path string, record Record) error {
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode the record of %s: %w", record.ID, err)
	}
	if err := os.WriteFile(path+unfinished, text, 0o644); err != nil {
		return fmt.Errorf("write the record of %s: %w", record.ID, err)
	}
	if err := os.Rename(path+unfinished, path); err != nil {
		return fmt.Errorf("write the record of %s: %w", record.ID, err)
	}
	return nil
}

package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.dev/slipway/local/node/qemu"
)

// Snapshots keeps what volumes held at one moment: a disk each, over the same base image as the volume's and otherwise
// independent of it.
type Snapshots struct {
	dir   string
	bases *Bases
	now   func() time.Time
}

// Pending is a snapshot that a guest's QEMU writes. Its record is on disk before QEMU begins.
type Pending struct {
	Record
	Volume  string `json:"volume"`
	Guest   string `json:"guest"`   // the instance whose QEMU writes it
	Closing bool   `json:"closing"` // all is written; QEMU was told to close the file
}

const pendingFile = "pending.json"

// OpenSnapshots makes the directory ready: copies of disks at rest that an earlier process left half-made are removed.
// What a guest writes goes on.
func OpenSnapshots(dir string, bases *Bases, now func() time.Time) (*Snapshots, error) {
	s := &Snapshots{dir: dir, bases: bases, now: now}
	return s, open(dir, s.look)
}

// File is the disk of a snapshot.
func (s *Snapshots) File(id string) string { return filepath.Join(s.dir, id, diskFile) }

// Get returns a complete snapshot's record, or ErrNotFound.
func (s *Snapshots) Get(id string) (Record, error) {
	var r Record
	if err := readJSON(filepath.Join(s.dir, id, recordFile), &r); err != nil {
		return Record{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return r, nil
}

// GetPending returns the record of a snapshot that a guest writes, or ErrNotFound.
func (s *Snapshots) GetPending(id string) (Pending, error) {
	var p Pending
	if err := readJSON(filepath.Join(s.dir, id, pendingFile), &p); err != nil {
		return Pending{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return p, nil
}

// look returns the record of a snapshot, complete or not.
func (s *Snapshots) look(id string) (Record, error) {
	r, err := s.Get(id)
	if !errors.Is(err, ErrNotFound) {
		return r, err
	}
	p, err := s.GetPending(id)
	return p.Record, err
}

// Take copies the disk of a volume that no guest has open, and that the caller has reserved.
func (s *Snapshots) Take(ctx context.Context, id string, of *Store, volume string, progress func(done, total int64)) error {
	if _, err := s.Get(id); err == nil {
		return nil
	}
	want, err := s.describe(ctx, id, of, volume)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, id)
	if err := s.clear(dir); err != nil {
		return err
	}
	if err := copyFile(ctx, of.File(volume), s.File(id), progress); err != nil {
		_ = os.RemoveAll(dir)
		return fmt.Errorf("take snapshot %s: %w", id, spaceError(err))
	}
	return s.complete(want)
}

// describe is the record of a snapshot of the volume as it is now.
func (s *Snapshots) describe(ctx context.Context, id string, of *Store, volume string) (Record, error) {
	r, err := of.Get(volume)
	if err != nil {
		return Record{}, err
	}
	size, err := qemu.ImageSize(ctx, of.File(volume))
	if err != nil {
		return Record{}, fmt.Errorf("take snapshot %s: %w", id, err)
	}
	return Record{ID: id, Owner: r.Owner, Size: size, Base: r.Base, Source: "volume " + volume, Created: s.now().UTC()}, nil
}

func (s *Snapshots) clear(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear half-made snapshot: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make snapshot: %w", spaceError(err))
	}
	return nil
}

func (s *Snapshots) complete(r Record) error {
	if err := WriteJSON(filepath.Join(s.dir, r.ID, recordFile), r); err != nil {
		return fmt.Errorf("complete snapshot %s: %w", r.ID, spaceError(err))
	}
	return nil
}

// Begin makes the file that a guest's QEMU copies the disk of a volume into. All the room that the copy can need is taken
// beforehand: a copy that ran out of it would fail the guest's own writes.
func (s *Snapshots) Begin(ctx context.Context, id string, of *Store, volume, guest string) (Pending, error) {
	want, err := s.describe(ctx, id, of, volume)
	if err != nil {
		return Pending{}, err
	}
	p := Pending{Record: want, Volume: volume, Guest: guest}
	dir := filepath.Join(s.dir, id)
	if err := s.clear(dir); err != nil {
		return Pending{}, err
	}
	var base Base
	if want.Base != "" {
		base.File = s.bases.File(want.Base)
	}
	err = CreateOverlay(ctx, s.File(id), qemu.Backing{File: base.File, Format: "raw"}, want.Size)
	if err == nil {
		err = reserve(s.File(id), of.File(volume))
	}
	if err == nil {
		err = WriteJSON(filepath.Join(dir, pendingFile), p)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return Pending{}, fmt.Errorf("take snapshot %s: %w", id, spaceError(err))
	}
	return p, nil
}

// Close notes that a guest's QEMU has written all and is to close the file.
func (s *Snapshots) Close(p Pending) error {
	p.Closing = true
	if err := WriteJSON(filepath.Join(s.dir, p.ID, pendingFile), p); err != nil {
		return fmt.Errorf("close snapshot %s: %w", p.ID, spaceError(err))
	}
	return nil
}

// Finish completes a snapshot that a guest's QEMU has written and closed.
func (s *Snapshots) Finish(p Pending) error {
	if err := settle(s.File(p.ID)); err != nil {
		return fmt.Errorf("complete snapshot %s: %w", p.ID, err)
	}
	if err := s.complete(p.Record); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.dir, p.ID, pendingFile)); err != nil {
		return fmt.Errorf("complete snapshot %s: %w", p.ID, err)
	}
	return nil
}

// Delete removes a snapshot and all its data. Deleting what is not there succeeds.
func (s *Snapshots) Delete(id string) error {
	if id == "" {
		return fmt.Errorf("delete snapshot: %w", ErrNotFound)
	}
	if err := remove(filepath.Join(s.dir, id)); err != nil {
		return fmt.Errorf("delete snapshot %s: %w", id, err)
	}
	return nil
}

// UsedBases are the digests that snapshots need.
func (s *Snapshots) UsedBases() (map[string]bool, error) { return usedBases(s.dir, s.look) }

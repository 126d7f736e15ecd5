package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Keep removes all trees but those named, and the files that no remaining tree needs. Trees that this process stored
// less than Grace ago stay, since whoever stored them may not have written the digest down yet. It returns how many
// trees went.
func (s *Store) Keep(digests ...string) (removed int, err error) {
	s.collect.Lock()
	defer s.collect.Unlock()
	keep := s.spared()
	for _, d := range digests {
		if hex, ok := hexOf(d); ok {
			keep[hex] = true
		}
	}
	used, removed, err := s.sweepTrees(keep)
	if err != nil {
		return removed, err
	}
	return removed, s.sweepBlobs(used)
}

// spared returns the trees within Grace and forgets the older ones.
func (s *Store) spared() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	spared := map[string]bool{}
	for hex, at := range s.fresh {
		if s.isFresh(at) {
			spared[hex] = true
		} else {
			delete(s.fresh, hex)
		}
	}
	return spared
}

func (s *Store) sweepTrees(keep map[string]bool) (used map[string]bool, removed int, err error) {
	list, err := os.ReadDir(s.trees())
	if err != nil {
		return nil, 0, fmt.Errorf("list source store: %w", err)
	}
	used = map[string]bool{}
	for _, d := range list {
		listing, err := os.ReadFile(s.listing(d.Name()))
		if err != nil {
			return nil, removed, fmt.Errorf("read listing %s: %w", d.Name(), err)
		}
		items, err := decode(listing)
		if keep[d.Name()] && err == nil {
			for _, i := range items {
				used[i.sum] = true
			}
			continue
		}
		if err := os.Remove(s.listing(d.Name())); err != nil {
			return nil, removed, fmt.Errorf("remove tree %s: %w", d.Name(), err)
		}
		removed++
	}
	return used, removed, nil
}

func (s *Store) sweepBlobs(used map[string]bool) error {
	err := filepath.WalkDir(s.blobs(), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || used[d.Name()] {
			return err
		}
		return os.Remove(file)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove unused files: %w", err)
	}
	return nil
}

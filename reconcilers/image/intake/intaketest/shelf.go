package intaketest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"slipway.dev/slipway/dvcr/importer"
)

// Shelf is an intake.Shelf in memory.
type Shelf struct {
	mu    sync.Mutex
	names map[string]bool
	err   error
	looks int
}

// NewShelf makes a shelf with artifacts of the given names on it.
func NewShelf(names ...string) *Shelf {
	s := &Shelf{names: map[string]bool{}}
	for _, name := range names {
		s.names[name] = true
	}
	return s
}

// Put lays an artifact on the shelf.
func (s *Shelf) Put(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[name] = true
}

// Break lets every call fail from now on; nil mends it.
func (s *Shelf) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Names are the artifacts on the shelf, in order.
func (s *Shelf) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.names))
}

// Looks is how often somebody asked what is there.
func (s *Shelf) Looks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

// Address implements intake.Shelf.
func (s *Shelf) Address() string { return "dvcr.test:5000" }

// Has implements intake.Shelf.
func (s *Shelf) Has(_ context.Context, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	return s.names[name], s.err
}

// Find implements intake.Shelf: every artifact is a disk of 4 GiB.
func (s *Shelf) Find(_ context.Context, name string) (*importer.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || !s.names[name] {
		return nil, s.err
	}
	return &importer.Result{Format: "qcow2", VirtualSize: 4 << 30, StoredSize: 30 << 20}, nil
}

// Remove implements intake.Shelf.
func (s *Shelf) Remove(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	delete(s.names, name)
	return nil
}

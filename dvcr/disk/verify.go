package disk

import (
	"context"
	"fmt"

	"oras.land/oras-go/v2"
)

// nowhere takes what is written to it and keeps nothing.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// Verify reads every pack of the disk stored under ref and compares every chunk with its digest.
func Verify(ctx context.Context, from oras.ReadOnlyTarget, ref string, o RestoreOptions) (Restored, error) {
	a, err := load(ctx, from, ref)
	if err != nil {
		return Restored{}, fmt.Errorf("verify disk: %w", err)
	}
	r := newRestorer(a.table, from, nowhere{}, o.withDefaults())
	stop := r.reporter()
	err = r.fetchMissing(ctx)
	close(r.reports)
	<-stop
	if err != nil {
		return Restored{}, fmt.Errorf("verify disk %s: %w", ref, err)
	}
	return Restored{Info: a.info(), Fetched: r.written.Load(), Moved: r.moved.Load()}, nil
}

// Difference says what one disk has that another has not.
type Difference struct {
	// Data is how many bytes of the second disk lie outside holes, New how many of them are in chunks that the first has not.
	Data int64 `json:"data"`
	New  int64 `json:"new"`
	// Stored and NewStored are the same in compressed bytes; NewStored is what a delta restore moves.
	Stored    int64 `json:"stored"`
	NewStored int64 `json:"newStored"`
	// Same says that both are the same content.
	Same bool `json:"same"`
}

// Compare tells what a disk has that an older one has not.
func Compare(old, next *Table) Difference {
	known := map[sum]bool{}
	for _, f := range old.table.frames {
		known[f.sum] = true
	}
	d := Difference{
		Data: next.table.dataSize(), Stored: next.table.stored(),
		Same: old.table.contentDigest() == next.table.contentDigest(),
	}
	for _, row := range next.table.rows {
		if f := next.table.frames[row.frame]; !known[f.sum] {
			d.New += int64(f.rawSize)
		}
	}
	for _, f := range next.table.frames {
		if !known[f.sum] {
			d.NewStored += int64(f.size)
		}
	}
	return d
}

package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"oras.land/oras-go/v2"
)

// Table is the table of contents of a stored disk: which chunk lies where.
type Table struct{ table *table }

// LoadTable reads the table of the disk stored under ref.
func LoadTable(ctx context.Context, from oras.ReadOnlyTarget, ref string) (*Table, error) {
	a, err := load(ctx, from, ref)
	if err != nil {
		return nil, fmt.Errorf("load table of contents: %w", err)
	}
	return &Table{a.table}, nil
}

// ParseTable reads a table as it lies in a registry.
func ParseTable(blob []byte) (*Table, error) {
	t, err := decodeTable(blob)
	if err != nil {
		return nil, err
	}
	return &Table{t}, nil
}

// Seed is a disk on this machine and the table that tells where its chunks are. Nothing of it is believed: what a disk holds by
// now is compared with the digest that is wanted, so a seed may have changed since.
type Seed struct {
	Table *Table
	Disk  io.ReaderAt
}

// keep marks the rows that the file holds already, and makes holes of what must be holes.
func (r *restorer) keep(ctx context.Context, f *os.File) error {
	if err := r.punchHoles(f); err != nil {
		return err
	}
	return r.eachShare(ctx, len(r.table.rows), func(ctx context.Context, lo, hi int) error {
		data := span{}
		buf := make([]byte, maxChunk)
		for n := lo; n < hi && ctx.Err() == nil; n++ {
			row := r.table.rows[n]
			raw := buf[:r.table.frames[row.frame].rawSize]
			if row.off >= data.end {
				data = nextData(f, row.off, r.table.size)
			}
			if row.off+int64(len(raw)) <= data.start {
				continue
			}
			if _, err := f.ReadAt(raw, row.off); err != nil {
				return fmt.Errorf("read what is there at offset %d: %w", row.off, err)
			}
			if sha256.Sum256(raw) == r.table.frames[row.frame].sum {
				r.have[n] = true
				r.kept.Add(int64(len(raw)))
				r.written.Add(int64(len(raw)))
				r.report()
			}
		}
		return ctx.Err() //nolint:wrapcheck // as it is
	})
}

// nextData finds the next stretch of a file that is not a hole; where that cannot be told, all is data.
func nextData(f *os.File, off, size int64) span {
	s, err := (rawFile{File: f, size: size}).next(off)
	switch {
	case errors.Is(err, io.EOF):
		return span{size, size}
	case err != nil:
		return span{off, size}
	}
	return s
}

// punchHoles frees what no row covers.
func (r *restorer) punchHoles(f *os.File) error {
	end := int64(0)
	for _, row := range r.table.rows {
		if err := punch(f, end, row.off); err != nil {
			return err
		}
		end = row.off + int64(r.table.frames[row.frame].rawSize)
	}
	return punch(f, end, r.table.size)
}

// punch makes [start, end) of a file a hole, or zeros where the file system has no holes.
func punch(f *os.File, start, end int64) error {
	data := nextData(f, start, end)
	for start = max(start, data.start); start < end; {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, start, end-start)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("make a hole of %d bytes at offset %d: %w", end-start, start, err)
		}
		if errors.Is(err, unix.EOPNOTSUPP) {
			n := min(end-start, int64(len(zeroBlock)))
			if err := writeAt(f, zeroBlock[:n], start); err != nil {
				return err
			}
			start += n
		}
	}
	return nil
}

// copyFrom copies what the seed has of the frames that are missing.
func (r *restorer) copyFrom(ctx context.Context, seed Seed) error {
	at := seed.index()
	return r.eachShare(ctx, len(r.table.frames), func(ctx context.Context, lo, hi int) error {
		buf := make([]byte, maxChunk)
		for i := uint32(lo); i < uint32(hi) && ctx.Err() == nil; i++ {
			f := &r.table.frames[i]
			off, ok := at[f.sum]
			if !ok || !r.lacks(i) {
				continue
			}
			raw := buf[:f.rawSize]
			if n, _ := seed.Disk.ReadAt(raw, off); n < len(raw) || sha256.Sum256(raw) != f.sum {
				continue // it is fetched instead
			}
			if err := r.place(i, raw); err != nil {
				return err
			}
		}
		return ctx.Err() //nolint:wrapcheck // as it is
	})
}

// index finds a place of each chunk.
func (s Seed) index() map[sum]int64 {
	t := s.Table.table
	at := make(map[sum]int64, len(t.frames))
	for _, row := range t.rows {
		at[t.frames[row.frame].sum] = row.off
	}
	return at
}

// place writes a chunk wherever it is missing, and marks it.
func (r *restorer) place(frame uint32, raw []byte) error {
	for _, n := range r.places.of(frame) {
		if r.have[n] {
			continue
		}
		if err := writeAt(r.to, raw, r.table.rows[n].off); err != nil {
			return err
		}
		r.have[n] = true
		r.copied.Add(int64(len(raw)))
		r.written.Add(int64(len(raw)))
	}
	r.report()
	return nil
}

// eachShare divides n items among the workers.
func (r *restorer) eachShare(ctx context.Context, n int, do func(ctx context.Context, lo, hi int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range r.o.Concurrency {
		g.Go(func() error { return do(ctx, n*i/r.o.Concurrency, n*(i+1)/r.o.Concurrency) })
	}
	return g.Wait() //nolint:wrapcheck // Restore wraps it
}

package disk

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
	"oras.land/oras-go/v2"
)

// RestoreOptions are what a restore may do; the zero value is a good one.
type RestoreOptions struct {
	// Concurrency is how many frames are decoded side by side; 0 means one per core, at most 8.
	Concurrency int
	// Downloads is how many packs are read side by side; 0 means 4.
	Downloads int
	// Resume keeps what the file holds already: chunks that are in their place and right are not fetched again, whatever
	// else is there is overwritten, and holes are made holes. It is how a restore that was killed goes on, and how a file that
	// holds another version is brought to this one in place.
	Resume bool
	// Seeds are disks on this machine whose chunks are copied instead of fetched.
	Seeds []Seed
	// Progress is called as frames are written, from one goroutine at a time; it must not block.
	Progress func(Progress)
	// Clock times the pauses between attempts to read; nil means the real one.
	Clock clock.Clock
}

func (o RestoreOptions) withDefaults() RestoreOptions {
	if o.Concurrency <= 0 {
		o.Concurrency = min(8, runtime.GOMAXPROCS(0))
	}
	if o.Downloads <= 0 {
		o.Downloads = 4
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Restored says what a restore brought and how.
type Restored struct {
	Info
	// Kept, Copied and Fetched divide the disk's bytes outside holes: those that were in place, those that came from seeds, and
	// those that came from the registry.
	Kept, Copied, Fetched int64
	// Moved is how many compressed bytes the registry was asked for.
	Moved int64
}

// Restore writes the disk stored under ref into f, which must be a regular file: its content is replaced, its length becomes
// the disk's, and holes stay holes. Every chunk is verified before it is written; when one is not what the artifact's digest
// promises, Restore stops with ErrCorrupt.
//
// The file is not synced, and after an error its content is unspecified: restore into a temporary name and rename. A second
// Restore with Resume makes it right.
func Restore(ctx context.Context, from oras.ReadOnlyTarget, ref string, f *os.File, o RestoreOptions) (Restored, error) {
	a, err := load(ctx, from, ref)
	if err != nil {
		return Restored{}, fmt.Errorf("restore disk: %w", err)
	}
	r := newRestorer(a.table, from, f, o.withDefaults())
	if err := r.restore(ctx, f); err != nil {
		return Restored{}, fmt.Errorf("restore disk %s: %w", ref, err)
	}
	return Restored{
		Info: a.info(), Kept: r.kept.Load(), Copied: r.copied.Load(),
		Fetched: r.written.Load() - r.kept.Load() - r.copied.Load(), Moved: r.moved.Load(),
	}, nil
}

// prepare gives f its length. Unless what it holds is to be kept, it becomes one hole.
func prepare(f *os.File, size int64, keep bool) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("prepare file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("prepare file: %w: %s is not a regular file", ErrUnsupported, f.Name())
	}
	if !keep {
		if err := f.Truncate(0); err != nil {
			return fmt.Errorf("prepare file: %w", err)
		}
	}
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("prepare file: %w", err)
	}
	return nil
}

// restorer holds one restore. Readers stream packs and hand batches of frames to workers, which decode, verify and write;
// the batches are few and small, and bound the memory whatever the size of the disk.
type restorer struct {
	table   *table
	from    oras.ReadOnlyTarget
	to      io.WriterAt
	o       RestoreOptions
	places  places
	have    []bool // by row: the file holds it
	free    chan []byte
	batches chan batch
	reports chan int64

	written, kept, copied atomic.Int64 // bytes of the disk
	moved                 atomic.Int64 // bytes of packs
}

// batch is a run of frames that lie back to back in one pack, and in data.
type batch struct {
	frames []uint32
	data   []byte
}

// batchSize is how many compressed bytes a batch holds at least, unless the pack ends.
const batchSize = 256 << 10

func newRestorer(t *table, from oras.ReadOnlyTarget, to io.WriterAt, o RestoreOptions) *restorer {
	r := &restorer{
		table: t, from: from, to: to, o: o, places: placesOf(t), have: make([]bool, len(t.rows)),
		batches: make(chan batch, o.Concurrency), reports: make(chan int64, 1),
	}
	r.free = make(chan []byte, 2*o.Concurrency+o.Downloads)
	for range cap(r.free) {
		r.free <- nil
	}
	return r
}

// restore prepares the file, takes what is on this machine, and fetches the rest.
func (r *restorer) restore(ctx context.Context, f *os.File) error {
	if err := prepare(f, r.table.size, r.o.Resume); err != nil {
		return err
	}
	stop := r.reporter()
	defer func() { close(r.reports); <-stop }()
	if r.o.Resume {
		if err := r.keep(ctx, f); err != nil {
			return err
		}
	}
	for _, seed := range r.o.Seeds {
		if err := r.copyFrom(ctx, seed); err != nil {
			return err
		}
	}
	return r.fetchMissing(ctx)
}

// missing returns the frames that some row still lacks, by pack.
func (r *restorer) missing() [][]uint32 {
	byPack := make([][]uint32, len(r.table.packs))
	for i := range r.table.frames {
		if r.lacks(uint32(i)) {
			n := r.table.frames[i].pack
			byPack[n] = append(byPack[n], uint32(i))
		}
	}
	return byPack
}

func (r *restorer) lacks(frame uint32) bool {
	return slices.ContainsFunc(r.places.of(frame), func(row uint32) bool { return !r.have[row] })
}

func (r *restorer) fetchMissing(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	readers, ctx2 := errgroup.WithContext(ctx)
	readers.SetLimit(r.o.Downloads)
	g.Go(func() error {
		defer close(r.batches)
		for n, frames := range r.missing() {
			if len(frames) > 0 {
				readers.Go(func() error { return r.readPack(ctx2, n, frames) })
			}
		}
		return readers.Wait()
	})
	for range r.o.Concurrency {
		g.Go(func() error { return r.work(ctx) })
	}
	return g.Wait() //nolint:wrapcheck // Restore wraps it
}

// reporter calls Progress from one goroutine and drops values that come faster than it takes them.
func (r *restorer) reporter() <-chan struct{} {
	stop := make(chan struct{})
	total := r.table.dataSize()
	go func() {
		defer close(stop)
		for done := range r.reports {
			if r.o.Progress != nil {
				r.o.Progress(Progress{Done: done, Total: total})
			}
		}
		if r.o.Progress != nil {
			r.o.Progress(Progress{Done: r.written.Load(), Total: total})
		}
	}()
	return stop
}

func (r *restorer) report() {
	select {
	case r.reports <- r.written.Load():
	default:
	}
}

// work decodes, verifies and writes batches.
func (r *restorer) work(ctx context.Context) error {
	decoder := newDecoder(1)
	defer decoder.Close()
	var w runWriter
	for {
		select {
		case b, ok := <-r.batches:
			if !ok {
				return nil
			}
			if err := r.writeBatch(decoder, b, &w); err != nil {
				return err
			}
			r.free <- b.data
			r.report()
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
	}
}

// writeBatch writes each chunk of a batch wherever the disk lacks it.
func (r *restorer) writeBatch(d *zstd.Decoder, b batch, w *runWriter) error {
	data := b.data
	for _, i := range b.frames {
		f := &r.table.frames[i]
		rows := r.places.of(i)
		first := slices.IndexFunc(rows, func(n uint32) bool { return !r.have[n] })
		room, err := w.room(r.to, r.table.rows[rows[first]].off, int(f.rawSize))
		if err != nil {
			return err
		}
		raw, err := decodeFrame(d, data[:f.size], room, int(f.rawSize), f.sum)
		if err != nil {
			return fmt.Errorf("pack %d (%s), offset %d: %w", f.pack, r.table.packs[f.pack].digest, f.off, err)
		}
		data = data[f.size:]
		w.size += len(raw)
		r.written.Add(int64(len(raw)))
		for _, n := range rows[first+1:] {
			if r.have[n] {
				continue
			}
			if err := writeAt(r.to, raw, r.table.rows[n].off); err != nil {
				return err
			}
			r.written.Add(int64(len(raw)))
		}
	}
	return w.flush(r.to)
}

// runWriter joins chunks that follow each other on the disk: few large writes cost less than many small ones.
type runWriter struct {
	buf  []byte
	off  int64
	size int
}

// runSize is how much a run holds; a chunk of the largest kind fits.
const runSize = maxChunk

// room returns the place in memory for a chunk of n bytes at off, behind those of the same run.
func (w *runWriter) room(to io.WriterAt, off int64, n int) ([]byte, error) {
	if w.buf == nil {
		w.buf = make([]byte, runSize)
	}
	if w.size > 0 && (off != w.off+int64(w.size) || w.size+n > len(w.buf)) {
		if err := w.flush(to); err != nil {
			return nil, err
		}
	}
	if w.size == 0 {
		w.off = off
	}
	return w.buf[w.size : w.size+n], nil
}

func (w *runWriter) flush(to io.WriterAt) error {
	if w.size == 0 {
		return nil
	}
	n := w.size
	w.size = 0
	return writeAt(to, w.buf[:n], w.off)
}

func writeAt(to io.WriterAt, p []byte, off int64) error {
	if _, err := to.WriteAt(p, off); err != nil {
		return fmt.Errorf("write at offset %d: %w", off, err)
	}
	return nil
}

// places lists the rows of each frame: rows[starts[f]:starts[f+1]].
type places struct {
	starts []uint32
	rows   []uint32
}

func placesOf(t *table) places {
	p := places{starts: make([]uint32, len(t.frames)+1), rows: make([]uint32, len(t.rows))}
	for _, r := range t.rows {
		p.starts[r.frame+1]++
	}
	for i := range t.frames {
		p.starts[i+1] += p.starts[i]
	}
	next := make([]uint32, len(t.frames))
	copy(next, p.starts)
	for i, r := range t.rows {
		p.rows[next[r.frame]] = uint32(i)
		next[r.frame]++
	}
	return p
}

func (p places) of(frame uint32) []uint32 { return p.rows[p.starts[frame]:p.starts[frame+1]] }

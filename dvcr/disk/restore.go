package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/errdef"
)

// RestoreOptions are what a restore may do; the zero value is a good one.
type RestoreOptions struct {
	// Concurrency is how many frames are decoded side by side; 0 means one per core, at most 8.
	Concurrency int
	// Downloads is how many packs are read side by side; 0 means 4.
	Downloads int
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

// Restore writes the disk stored under ref into f, which must be a regular file: its content is replaced, its length becomes
// the disk's, and holes stay holes. Every chunk is verified before it is written; when one is not what the artifact's digest
// promises, Restore stops with ErrCorrupt.
//
// The file is not synced, and after an error its content is unspecified: restore into a temporary name and rename.
func Restore(ctx context.Context, from oras.ReadOnlyTarget, ref string, f *os.File, o RestoreOptions) (Info, error) {
	a, err := load(ctx, from, ref)
	if err != nil {
		return Info{}, fmt.Errorf("restore disk: %w", err)
	}
	if err := prepare(f, a.table.size); err != nil {
		return Info{}, fmt.Errorf("restore disk %s: %w", ref, err)
	}
	r := newRestorer(a.table, from, f, o.withDefaults())
	if err := r.run(ctx); err != nil {
		return Info{}, fmt.Errorf("restore disk %s: %w", ref, err)
	}
	return a.info(), nil
}

// prepare makes f one hole of the given length.
func prepare(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("prepare file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("prepare file: %w: %s is not a regular file", ErrUnsupported, f.Name())
	}
	for _, n := range []int64{0, size} {
		if err := f.Truncate(n); err != nil {
			return fmt.Errorf("prepare file: %w", err)
		}
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
	free    chan []byte
	batches chan batch
	written atomic.Int64
}

// batch is a run of frames of one pack: frames[first:last] of the table, back to back in data.
type batch struct {
	first, last int
	data        []byte
}

// batchSize is how many compressed bytes a batch holds at least, unless the pack ends.
const batchSize = 256 << 10

func newRestorer(t *table, from oras.ReadOnlyTarget, to io.WriterAt, o RestoreOptions) *restorer {
	r := &restorer{table: t, from: from, to: to, o: o, places: placesOf(t), batches: make(chan batch, o.Concurrency)}
	r.free = make(chan []byte, 2*o.Concurrency+o.Downloads)
	for range cap(r.free) {
		r.free <- nil
	}
	return r
}

func (r *restorer) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	readers, ctx2 := errgroup.WithContext(ctx)
	readers.SetLimit(r.o.Downloads)
	g.Go(func() error {
		defer close(r.batches)
		first := 0
		for n := range r.table.packs {
			last := first
			for last < len(r.table.frames) && r.table.frames[last].pack == uint32(n) {
				last++
			}
			lo := first
			readers.Go(func() error { return r.readPack(ctx2, n, lo, last) })
			first = last
		}
		return readers.Wait()
	})
	reports := make(chan int64, 1)
	for range r.o.Concurrency {
		g.Go(func() error { return r.work(ctx, reports) })
	}
	stop := r.reporter(reports)
	err := g.Wait()
	close(reports)
	<-stop
	return err //nolint:wrapcheck // Restore wraps it
}

// reporter calls Progress from one goroutine and drops values that come faster than it takes them.
func (r *restorer) reporter(reports <-chan int64) <-chan struct{} {
	stop := make(chan struct{})
	total := r.table.dataSize()
	go func() {
		defer close(stop)
		for done := range reports {
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

// readPack streams frames[first:last], all of one pack, into batches. A connection that breaks is opened again where it
// broke, as often as there are pauses, and again after each progress.
func (r *restorer) readPack(ctx context.Context, n, first, last int) error {
	for attempt := 0; first < last; attempt++ {
		next, err := r.streamPack(ctx, n, first, last)
		if err == nil {
			return nil
		}
		if next > first {
			attempt = 0
		}
		first = next
		if ctx.Err() != nil || attempt >= len(uploadPauses) || errors.Is(err, ErrCorrupt) || !worthReading(err) {
			return fmt.Errorf("read pack %d (%s): %w", n, r.table.packs[n].digest, err)
		}
		select {
		case <-r.o.Clock.After(uploadPauses[attempt]):
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
	}
	return nil
}

func worthReading(err error) bool { return !errors.Is(err, errdef.ErrNotFound) && worthRetrying(err) }

// streamPack reads from one connection and returns the first frame that it did not deliver.
func (r *restorer) streamPack(ctx context.Context, n, first, last int) (int, error) {
	p := r.table.packs[n]
	body, err := r.from.Fetch(ctx, ocispec.Descriptor{MediaType: PackMediaType, Digest: p.digest, Size: p.size})
	if err != nil {
		return first, targetError("open", err)
	}
	defer body.Close() //nolint:errcheck // only read
	at := int64(0)
	for first < last {
		b, err := r.readBatch(ctx, body, &at, first, last)
		if err != nil {
			return first, err
		}
		if err := send(ctx, r.batches, b); err != nil {
			return first, err
		}
		first = b.last
	}
	return first, nil
}

// readBatch reads frames that lie back to back, from position at of the body on.
func (r *restorer) readBatch(ctx context.Context, body io.Reader, at *int64, first, last int) (batch, error) {
	frames := r.table.frames[first:last]
	start, end := int64(frames[0].off), int64(frames[0].off)
	b := batch{first: first, last: first}
	for i := range frames {
		if int64(frames[i].off) != end || end-start >= batchSize {
			break
		}
		end += int64(frames[i].size)
		b.last++
	}
	if err := skip(body, start-*at); err != nil {
		return b, err
	}
	*at = start
	var err error
	if b.data, err = r.buffer(ctx, int(end-start)); err != nil {
		return b, err
	}
	if err := readFull(body, b.data); err != nil {
		return b, err
	}
	*at = end
	return b, nil
}

// buffer takes a buffer from those this restore may use.
func (r *restorer) buffer(ctx context.Context, size int) ([]byte, error) {
	select {
	case b := <-r.free:
		if cap(b) < size {
			b = make([]byte, max(size, batchSize+batchSize/2))
		}
		return b[:size], nil
	case <-ctx.Done():
		return nil, ctx.Err() //nolint:wrapcheck // as it is
	}
}

// skipBySeek is the gap from which a new range request is cheaper than reading on.
const skipBySeek = 1 << 20

// skip moves the body forward: past frames of other versions that this disk does not use.
func skip(body io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	if s, ok := body.(io.Seeker); ok && n >= skipBySeek {
		if _, err := s.Seek(n, io.SeekCurrent); err != nil {
			return targetError("seek", err)
		}
		return nil
	}
	if _, err := io.CopyN(io.Discard, body, n); err != nil {
		return targetError("read", err)
	}
	return nil
}

// readFull fills p. A body that ends in order but too early is the registry's copy being short: no attempt will help.
func readFull(body io.Reader, p []byte) error {
	for len(p) > 0 {
		n, err := body.Read(p)
		p = p[n:]
		switch {
		case len(p) == 0:
			return nil
		case err == io.EOF: //nolint:errorlint // a wrapped EOF is not the end of the body
			return fmt.Errorf("%w: the pack ends %d bytes early", ErrCorrupt, len(p))
		case err != nil:
			return targetError("read", err)
		}
	}
	return nil
}

// work decodes, verifies and writes batches.
func (r *restorer) work(ctx context.Context, reports chan<- int64) error {
	decoder := newDecoder(1)
	defer decoder.Close()
	var raw []byte
	for {
		select {
		case b, ok := <-r.batches:
			if !ok {
				return nil
			}
			if err := r.writeBatch(decoder, b, &raw); err != nil {
				return err
			}
			r.free <- b.data
			select {
			case reports <- r.written.Load():
			default:
			}
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
	}
}

// writeBatch writes each chunk of a batch wherever the disk has it.
func (r *restorer) writeBatch(d *zstd.Decoder, b batch, scratch *[]byte) error {
	data := b.data
	for i := b.first; i < b.last; i++ {
		f := &r.table.frames[i]
		if cap(*scratch) < int(f.rawSize) {
			*scratch = make([]byte, f.rawSize)
		}
		raw, err := decodeFrame(d, data[:f.size], *scratch, int(f.rawSize), f.sum)
		if err != nil {
			return fmt.Errorf("pack %d (%s), offset %d: %w", f.pack, r.table.packs[f.pack].digest, f.off, err)
		}
		data = data[f.size:]
		for _, n := range r.places.of(i) {
			if _, err := r.to.WriteAt(raw, r.table.rows[n].off); err != nil {
				return fmt.Errorf("write at offset %d: %w", r.table.rows[n].off, err)
			}
			r.written.Add(int64(len(raw)))
		}
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

func (p places) of(frame int) []uint32 { return p.rows[p.starts[frame]:p.starts[frame+1]] }

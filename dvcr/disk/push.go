package disk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
	"oras.land/oras-go/v2"
)

// Progress says how far a push or a restore has come.
type Progress struct {
	// Done is the offset in the disk that a push has reached, or the bytes outside holes that a restore has written.
	Done int64
	// Total is what Done ends at, or -1 while that is not known.
	Total int64
}

// PushOptions are what a push may do; the zero value is a good one.
type PushOptions struct {
	// Describe is called when all of the source was read; what it returns is recorded in the artifact's config.
	Describe func() SourceConfig
	// Bases are references in the same target whose frames may be reused: earlier versions of the same image. Those that
	// do not exist or are not disks are skipped.
	Bases []string
	// Concurrency is how many frames are compressed side by side; 0 means one per core, at most 8.
	Concurrency int
	// Uploads is how many packs are uploaded side by side; 0 means 2.
	Uploads int
	// MaxVirtualSize refuses larger disks with ErrTooLarge; 0 means the format's own limit of 1 PiB.
	MaxVirtualSize int64
	// MaxData refuses disks with more bytes outside holes with ErrTooLarge; 0 means no limit.
	MaxData int64
	// Progress is called from one goroutine after each slab of a few MiB; it must not block.
	Progress func(Progress)
	// Faces makes the forms in which other programs can read the disk; nil publishes none.
	Faces FaceMaker
	// Architecture of the machines that the containerDisk face is offered to; empty means amd64.
	Architecture string
	// Clock times the pauses between attempts to upload; nil means the real one.
	Clock clock.Clock

	packSize int // from which a pack is closed; 0 means the format's, tests make small ones
}

func (o PushOptions) withDefaults() PushOptions {
	if o.Concurrency <= 0 {
		o.Concurrency = min(8, runtime.GOMAXPROCS(0))
	}
	if o.Uploads <= 0 {
		o.Uploads = 2
	}
	if o.MaxVirtualSize <= 0 || o.MaxVirtualSize > maxDiskSize {
		o.MaxVirtualSize = maxDiskSize
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.packSize <= 0 {
		o.packSize = packSize
	}
	if o.Describe == nil {
		o.Describe = func() SourceConfig { return SourceConfig{} }
	}
	return o
}

// Push stores a disk in to under the tag ref and returns what it stored. The tag moves only after everything else is
// there, so a push that fails or is killed leaves ref as it was; repeating it finds the packs that were uploaded.
//
// Push reads src to its end and does not close it.
func Push(ctx context.Context, src Source, to oras.Target, ref string, o PushOptions) (Info, error) {
	o = o.withDefaults()
	if size := src.Size(); size > o.MaxVirtualSize {
		return Info{}, fmt.Errorf("push disk: %w: %d bytes, the limit is %d", ErrTooLarge, size, o.MaxVirtualSize)
	}
	store, err := newPackStore(ctx, to, o)
	if err != nil {
		return Info{}, fmt.Errorf("push disk: %w", err)
	}
	size, err := transfer(ctx, src, store, o)
	if err != nil {
		return Info{}, fmt.Errorf("push disk: %w", err)
	}
	if o.Progress != nil {
		o.Progress(Progress{Done: size, Total: size})
	}
	store.table.size = size
	toc := store.table.encode(newEncoder(1))
	config := Config{
		LayoutVersion: layoutVersion,
		VirtualSize:   size,
		DataSize:      store.table.dataSize(),
		ContentDigest: store.table.contentDigest(),
		Chunker:       chunkerConfig(),
		Source:        o.Describe(),
	}
	a, err := publication{to: to, ref: ref, faces: o.Faces, arch: o.Architecture}.publish(ctx, config, toc, store.table)
	if err != nil {
		return Info{}, fmt.Errorf("push disk: %w", err)
	}
	return a.info(), nil
}

// transfer runs the stages of a push, each in its own goroutines: read, cut, compress, pack, upload. It returns the size
// of the disk. Only the compressing stage is wide; every other one handles slabs in disk order.
func transfer(ctx context.Context, src Source, store *packStore, o PushOptions) (int64, error) {
	g, ctx := errgroup.WithContext(ctx)
	slabs := newSlabPool(o.Concurrency+4, slabSize)
	read := make(chan *slab, 1)
	work := make(chan *slab)
	ordered := make(chan *slab, cap(slabs))
	var size int64

	g.Go(func() error {
		defer close(read)
		var err error
		size, err = readSlabs(ctx, src, slabs, read, o)
		return err
	})
	g.Go(func() error {
		defer close(work)
		defer close(ordered)
		return cutSlabs(ctx, read, work, ordered)
	})
	encoder := newEncoder(o.Concurrency)
	for range o.Concurrency {
		g.Go(func() error {
			for s := range work {
				s.compress(encoder, store.index)
				close(s.done)
			}
			return nil
		})
	}
	store.start(ctx, g)
	g.Go(func() error {
		defer store.close()
		return packSlabs(ctx, ordered, slabs, store, encoder, reporter(src.Size(), o.Progress))
	})
	err := g.Wait()
	return size, err //nolint:wrapcheck // Push wraps it
}

func reporter(total int64, progress func(Progress)) func(done int64) {
	if progress == nil {
		return func(int64) {}
	}
	return func(done int64) { progress(Progress{Done: done, Total: total}) }
}

// readSlabs reads the source into slabs and returns the size of the disk.
func readSlabs(ctx context.Context, src Source, pool slabPool, out chan<- *slab, o PushOptions) (int64, error) {
	var data, end int64
	for {
		s, err := pool.get(ctx)
		if err != nil {
			return 0, err
		}
		n := 0
		s.off, n, err = src.ReadNext(s.buf[headroom:])
		switch {
		case isEnd(err) && s.off > end:
			// The disk ends in a hole: an empty slab behind it says so.
			s.start, s.end = headroom, headroom
			return s.off, send(ctx, out, s)
		case isEnd(err):
			return s.off, nil
		case err != nil:
			return 0, fmt.Errorf("read image: %w", err)
		case n == 0 || s.off < end || s.off%blockSize != 0:
			return 0, fmt.Errorf("read image: source returned %d bytes at offset %d after offset %d", n, s.off, end)
		}
		s.start, s.end = headroom, headroom+n
		end = s.off + int64(n)
		data += int64(n)
		if end > o.MaxVirtualSize || o.MaxData > 0 && data > o.MaxData {
			return 0, fmt.Errorf("read image: %w: over %d bytes, %d of them data", ErrTooLarge, end, data)
		}
		if err := send(ctx, out, s); err != nil {
			return 0, err
		}
	}
}

// cutSlabs cuts slabs into chunks. It holds one slab back, because how a slab ends depends on what follows.
func cutSlabs(ctx context.Context, in <-chan *slab, work, ordered chan<- *slab) error {
	var c cutter
	current, ok := <-in
	if ok && current.off > 0 {
		c.inHole = true
	}
	for seq := uint64(0); ok; seq++ {
		var next *slab
		next, ok = <-in
		current.seq = seq
		current.cut(&c, next)
		if err := errors.Join(send(ctx, ordered, current), send(ctx, work, current)); err != nil {
			return err
		}
		current = next
	}
	return ctx.Err() //nolint:wrapcheck // a source that failed has closed the channel; its error is the one reported
}

// packSlabs takes slabs in disk order, waits until each is compressed, and packs its new frames.
func packSlabs(ctx context.Context, in <-chan *slab, pool slabPool, store *packStore, e encoder, report func(int64)) error {
	for s := range in {
		select {
		case <-s.done:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
		for i := range s.chunks {
			if err := store.add(ctx, s, &s.chunks[i], e); err != nil {
				return err
			}
		}
		report(s.off + int64(s.end-s.start))
		pool.put(s)
	}
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // as it is
	}
	return store.flush(ctx)
}

// send delivers v unless ctx ends first.
func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // as it is
	}
}

// uploadPauses are the pauses between attempts to upload one pack.
var uploadPauses = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}

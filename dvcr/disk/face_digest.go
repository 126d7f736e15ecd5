package disk

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"runtime"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// FaceDigest is what must be known of a face before a manifest can name it.
type FaceDigest struct {
	// Blob names the blob as it is transferred.
	Blob digest.Digest `json:"blob"`
	// Content names what the blob decodes to: a container image's diff ID.
	Content digest.Digest `json:"content"`
	// Size of the blob in bytes.
	Size int64 `json:"size"`
}

// Digest reads the face once and computes its digests. Every chunk is decoded and compared with its own digest on the way, so a
// face that has a digest holds the disk.
func (f *Face) Digest(ctx context.Context, packs Packs) (FaceDigest, error) {
	body, err := f.Open(ctx, packs, 0)
	if err != nil {
		return FaceDigest{}, err
	}
	defer body.Close() //nolint:errcheck // only read
	blob, content := sha256.New(), sha256.New()
	if err := f.hash(ctx, io.TeeReader(body, blob), content); err != nil {
		return FaceDigest{}, fmt.Errorf("compute digest of face %s: %w", f.Kind, err)
	}
	return FaceDigest{
		Blob:    digest.NewDigest(digest.SHA256, blob),
		Content: digest.NewDigest(digest.SHA256, content),
		Size:    f.Size,
	}, nil
}

// decoded is one part on its way from the blob to the content's hash.
type decoded struct {
	part   *facePart
	packed []byte
	raw    []byte
	done   chan error
}

// hash reads parts in order, decodes them side by side, and hashes what they hold in order again.
func (f *Face) hash(ctx context.Context, body io.Reader, content hash.Hash) error {
	workers := min(4, runtime.GOMAXPROCS(0))
	g, ctx := errgroup.WithContext(ctx)
	free := make(chan *decoded, 4*workers)
	for range cap(free) {
		free <- &decoded{}
	}
	work, ordered := make(chan *decoded, cap(free)), make(chan *decoded, cap(free))
	g.Go(func() error {
		defer close(work)
		defer close(ordered)
		return f.readParts(ctx, body, free, work, ordered)
	})
	for range workers {
		g.Go(func() error { f.decodeParts(work); return nil })
	}
	g.Go(func() error {
		for d := range ordered {
			if err := <-d.done; err != nil {
				return err
			}
			d.writeTo(content)
			free <- d
		}
		return nil
	})
	return g.Wait() //nolint:wrapcheck // Digest wraps it
}

func (f *Face) readParts(ctx context.Context, body io.Reader, free <-chan *decoded, work, ordered chan<- *decoded) error {
	for i := range f.parts {
		var d *decoded
		select {
		case d = <-free:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
		d.part, d.done = &f.parts[i], make(chan error, 1)
		if d.part.frame < 0 {
			d.packed = resize(d.packed, len(d.part.literal))
		} else {
			d.packed = resize(d.packed, int(f.table.frames[d.part.frame].size))
		}
		if _, err := io.ReadFull(body, d.packed); err != nil {
			return fmt.Errorf("read blob at offset %d: %w", d.part.off, err)
		}
		if err := send(ctx, ordered, d); err != nil {
			return err
		}
		if err := send(ctx, work, d); err != nil {
			return err
		}
	}
	return nil
}

func (f *Face) decodeParts(work <-chan *decoded) {
	decoder := newDecoder(1)
	defer decoder.Close()
	for d := range work {
		var err error
		if d.part.frame >= 0 {
			frame := &f.table.frames[d.part.frame]
			d.raw, err = decodeFrame(decoder, d.packed, resize(d.raw, int(frame.rawSize)), int(frame.rawSize), frame.sum)
		}
		d.done <- err
	}
}

// writeTo writes what the part holds.
func (d *decoded) writeTo(content hash.Hash) {
	switch {
	case d.part.frame >= 0:
		content.Write(d.raw)
	case d.part.plain != nil:
		content.Write(d.part.plain)
	default:
		for n := d.part.raw; n > 0; n -= min(n, int64(len(zeros))) {
			content.Write(zeros[:min(n, int64(len(zeros)))])
		}
	}
}

var zeros [64 << 10]byte

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

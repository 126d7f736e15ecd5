package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
)

const (
	// joinGap is the stretch of unwanted frames that is cheaper to read than to ask around.
	joinGap = 32 << 10
	// wholeShare, in percent, is how much of a pack must be wanted for one request to fetch all of it.
	wholeShare = 60
	// skipBySeek is the gap from which a local body is better moved than read.
	skipBySeek = 64 << 10
)

// packStream reads one pack from front to back, by as many requests as it takes.
type packStream struct {
	from   oras.ReadOnlyTarget
	desc   ocispec.Descriptor
	ranges bool // ask for parts
	body   io.ReadCloser
	at     int64 // of the body
	end    int64 // of the body
	moved  *atomic.Int64
}

func newPackStream(from oras.ReadOnlyTarget, p pack, ranges bool) *packStream {
	desc := ocispec.Descriptor{MediaType: PackMediaType, Digest: p.digest, Size: p.size}
	return &packStream{from: from, desc: desc, ranges: ranges, moved: new(atomic.Int64)}
}

// readPack streams frames, all of pack n, into batches. A connection that breaks is opened again where it broke, as often as
// there are pauses, and again after each progress.
func (r *restorer) readPack(ctx context.Context, n int, frames []uint32) error {
	p := r.table.packs[n]
	s := newPackStream(r.from, p, r.wanted(frames)*100 < p.size*wholeShare)
	s.moved = &r.moved
	defer s.close()
	for attempt := 0; len(frames) > 0; attempt++ {
		left, err := r.streamPack(ctx, s, frames)
		if err == nil {
			return nil
		}
		s.close()
		if len(left) < len(frames) {
			attempt = 0
		}
		frames = left
		if ctx.Err() != nil || attempt >= len(uploadPauses) || errors.Is(err, ErrCorrupt) || !worthReading(err) {
			return fmt.Errorf("read pack %d (%s): %w", n, p.digest, err)
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

func (r *restorer) wanted(frames []uint32) int64 {
	var n int64
	for _, i := range frames {
		n += int64(r.table.frames[i].size)
	}
	return n
}

// streamPack delivers frames until an error and returns those that it did not deliver.
func (r *restorer) streamPack(ctx context.Context, s *packStream, frames []uint32) ([]uint32, error) {
	for len(frames) > 0 {
		b, err := r.readBatch(ctx, s, frames)
		if err != nil {
			return frames, err
		}
		if err := send(ctx, r.batches, b); err != nil {
			return frames, err
		}
		frames = frames[len(b.frames):]
	}
	return nil, nil
}

// readBatch reads the frames at the head of the list that lie back to back.
func (r *restorer) readBatch(ctx context.Context, s *packStream, frames []uint32) (batch, error) {
	start := int64(r.table.frames[frames[0]].off)
	n, end := r.stretch(frames, 0, batchSize)
	b := batch{frames: frames[:n]}
	_, ahead := r.stretch(frames, joinGap, s.desc.Size)
	if err := s.seek(ctx, start, ahead); err != nil {
		return b, err
	}
	var err error
	if b.data, err = r.buffer(ctx, int(end-start)); err != nil {
		return b, err
	}
	return b, s.read(b.data)
}

// stretch returns how many of the frames lie behind each other with gaps up to gap, until they are limit bytes long, and where
// they end.
func (r *restorer) stretch(frames []uint32, gap, limit int64) (int, int64) {
	start := int64(r.table.frames[frames[0]].off)
	end := start
	for i, n := range frames {
		f := &r.table.frames[n]
		if int64(f.off)-end > gap || end-start >= limit {
			return i, end
		}
		end = int64(f.off) + int64(f.size)
	}
	return len(frames), end
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

// seek moves to start, from which on the caller wants bytes up to end at least.
func (s *packStream) seek(ctx context.Context, start, end int64) error {
	if s.body == nil || start < s.at || s.ranges && start >= s.end {
		s.close()
		if err := s.open(ctx, start, end); err != nil {
			return err
		}
	}
	return s.skip(start - s.at)
}

// open asks for bytes [start, end) of the pack, or for all of it where parts are not wanted or not to be had.
func (s *packStream) open(ctx context.Context, start, end int64) error {
	if repo, ok := s.from.(*remote.Repository); ok && (s.ranges || start > 0) {
		if !s.ranges {
			end = s.desc.Size
		}
		return s.openRange(ctx, repo, start, end)
	}
	body, err := s.from.Fetch(ctx, s.desc)
	if err != nil {
		return targetError("open", err)
	}
	s.body, s.at, s.end = body, 0, s.desc.Size
	return nil
}

// openRange sends one request for a part. A registry that answers with the whole pack is taken at its word, and not asked for
// parts of this pack again.
func (s *packStream) openRange(ctx context.Context, repo *remote.Repository, start, end int64) error {
	resp, err := getRange(ctx, repo, s.desc, start, end)
	if err != nil {
		return err
	}
	s.body, s.at, s.end = resp.Body, 0, s.desc.Size
	switch resp.StatusCode {
	case http.StatusOK:
		s.ranges = false
	case http.StatusPartialContent:
		s.at, s.end = start, end
		if want := fmt.Sprintf("bytes %d-", start); !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			return fmt.Errorf("%w: asked for bytes from %d on, the registry sent %q", ErrCorrupt, start, resp.Header.Get("Content-Range"))
		}
	default:
		return targetError("open", remoteError(resp))
	}
	return nil
}

// skip moves the body forward: past frames that are not wanted.
func (s *packStream) skip(n int64) error {
	if n == 0 {
		return nil
	}
	s.at += n
	if seeker, ok := s.body.(io.Seeker); ok && n >= skipBySeek {
		if _, err := seeker.Seek(n, io.SeekCurrent); err != nil {
			return targetError("seek", err)
		}
		return nil
	}
	moved, err := io.CopyN(io.Discard, s.body, n)
	s.moved.Add(moved)
	if err != nil {
		return targetError("read", err)
	}
	return nil
}

// read fills p. A body that ends in order but too early is the registry's copy being short: no attempt will help.
func (s *packStream) read(p []byte) error {
	for len(p) > 0 {
		n, err := s.body.Read(p)
		p = p[n:]
		s.at += int64(n)
		s.moved.Add(int64(n))
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

func (s *packStream) close() {
	if s.body != nil {
		_ = s.body.Close() // only read
		s.body = nil
	}
}

package disk

import (
	"context"
	"crypto/sha256"
)

const (
	// slabSize is how much is read at a time.
	slabSize = 2 << 20
	// headroom leaves space in front of a slab for the bytes that the slab before could not decide about.
	headroom = maxChunk + minHole + blockSize
)

// slab is a stretch of the disk on its way through a push. Its chunks point into its buffer, so no byte is copied between
// reading and compressing except the few that a cut leaves over.
type slab struct {
	seq        uint64
	off        int64 // in the disk, of buf[start]
	buf        []byte
	start, end int
	chunks     []chunk
	frames     []byte // compressed frames of the chunks, back to back
	done       chan struct{}
}

// chunk is a piece of a slab.
type chunk struct {
	piece
	seq       uint64 // position among all chunks of the disk
	sum       sum
	frameSize int // 0: no frame was made, because an earlier chunk or a base has it
	frameOff  int
}

// cut divides the slab into chunks and moves what remains undecided in front of the next slab.
func (s *slab) cut(c *cutter, next *slab) {
	e := edgeEnd
	if next != nil {
		e = edgeHole
		if next.off == s.off+int64(s.end-s.start) {
			e = edgeMore
		}
	}
	pieces, rest := c.cut(s.buf[s.start:s.end], s.off, e)
	for i, p := range pieces {
		s.chunks = append(s.chunks, chunk{piece: piece{s.start + p.start, s.start + p.end}, seq: s.seq<<16 | uint64(i)})
	}
	left := s.buf[s.start+rest : s.end]
	s.end = s.start + rest
	if len(left) > 0 {
		next.start -= len(left)
		next.off -= int64(len(left))
		copy(next.buf[next.start:], left)
	}
}

// encoder compresses one frame, appending it to dst.
type encoder interface {
	EncodeAll(src, dst []byte) []byte
}

// compress hashes the chunks and makes frames of those that nothing before them has.
func (s *slab) compress(e encoder, known *frameIndex) {
	for i := range s.chunks {
		c := &s.chunks[i]
		raw := s.buf[c.start:c.end]
		c.sum = sha256.Sum256(raw)
		if known.claim(c.sum, c.seq) {
			c.frameOff = len(s.frames)
			s.frames = e.EncodeAll(raw, s.frames)
			c.frameSize = len(s.frames) - c.frameOff
		}
	}
}

// slabPool holds the slabs of one push; their number bounds its memory.
type slabPool chan *slab

func newSlabPool(n, size int) slabPool {
	p := make(slabPool, n)
	for range n {
		p <- &slab{buf: make([]byte, headroom+size)}
	}
	return p
}

func (p slabPool) get(ctx context.Context) (*slab, error) {
	select {
	case s := <-p:
		s.done = make(chan struct{})
		s.chunks, s.frames = s.chunks[:0], s.frames[:0]
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err() //nolint:wrapcheck // as it is
	}
}

func (p slabPool) put(s *slab) { p <- s }

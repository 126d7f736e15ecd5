package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// Source is the raw content of a disk, read once, from front to back.
type Source interface {
	// Size returns the length of the disk in bytes, or -1 when only the end will tell.
	Size() int64
	// ReadNext fills p with the next bytes that may be other than zero and returns the offset they belong to. Everything
	// between the bytes of one call and those of the next is a hole. It fills p as far as the stretch goes; offsets are
	// multiples of 4 KiB. At the end it returns the length of the disk, 0 and io.EOF.
	ReadNext(p []byte) (off int64, n int, err error)
	// Close releases what the source holds open.
	Close() error
}

// stream is a Source without any knowledge of holes.
type stream struct {
	r    io.Reader
	size int64
	off  int64
}

// NewStream returns a Source that reads a raw disk from r. size may be -1; when it is not, a stream of another length is an
// error. Close closes r when it is an io.Closer.
func NewStream(r io.Reader, size int64) Source {
	return &stream{r: r, size: size}
}

func (s *stream) Size() int64 { return s.size }

func (s *stream) ReadNext(p []byte) (int64, int, error) {
	off := s.off
	n, err := fill(s.r, p)
	s.off += int64(n)
	switch {
	case err != nil && !isEnd(err):
		return off, 0, err
	case s.size >= 0 && s.off > s.size:
		return off, 0, fmt.Errorf("read disk stream: %w: more than the %d bytes declared", ErrInvalidImage, s.size)
	case n > 0:
		return off, n, nil
	case err != nil && s.size >= 0 && s.off < s.size:
		return off, 0, fmt.Errorf("read disk stream: ended after %d of %d bytes: %w", s.off, s.size, io.ErrUnexpectedEOF)
	}
	return off, 0, err
}

// fill reads until p is full. Unlike io.ReadFull it keeps the end of r apart from an error of r that says "unexpected EOF".
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err //nolint:wrapcheck // readSlabs wraps it
}

// isEnd reports the regular end of a source. An error that wraps io.EOF is not one.
func isEnd(err error) bool { return err == io.EOF } //nolint:errorlint // see above

func (s *stream) Close() error {
	c, _ := s.r.(io.Closer)
	return closeSource(c)
}

// span is a stretch of a disk: [start, end).
type span struct{ start, end int64 }

// extentMap finds the next stretch at or after off that may hold data; it returns io.EOF when there is none.
type extentMap interface {
	io.ReaderAt
	next(off int64) (span, error)
}

// mapped is a Source over something that knows its holes and can be read at any place.
type mapped struct {
	disk   extentMap
	size   int64
	fan    int   // readers that work side by side
	unit   int64 // what one reader takes at least
	reach  int64 // how far stretches are joined before they are read; 0 means lookAhead
	run    span  // what is being read; start moves forward
	ahead  *span // the stretch after run, when it was looked up already
	closer io.Closer
}

func (m *mapped) Size() int64 { return m.size }

func (m *mapped) Close() error {
	return closeSource(m.closer)
}

func closeSource(c io.Closer) error {
	if c == nil {
		return nil
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close disk source: %w", err)
	}
	return nil
}

func (m *mapped) ReadNext(p []byte) (int64, int, error) {
	if m.run.start == m.run.end {
		if err := m.advance(); err != nil {
			return m.size, 0, err
		}
	}
	off := m.run.start
	n := min(int64(len(p)), m.run.end-off)
	if err := m.fill(p[:n], off); err != nil {
		return off, 0, fmt.Errorf("read disk at offset %d: %w", off, err)
	}
	m.run.start += n
	return off, int(n), nil
}

// lookAhead is how far stretches are joined before they are read: a map may be long, and its image be refused early.
const lookAhead = 256 << 20

// advance joins stretches whose gaps are too short to be holes, so that what the cutter sees does not depend on the
// granularity of the file system or of the image format.
func (m *mapped) advance() error {
	at := m.run.end
	s, err := m.lookup(at)
	if errors.Is(err, io.EOF) && at < m.size && m.size-at < minHole {
		s, err = span{at, m.size}, nil
	}
	if err != nil {
		return err
	}
	if s.start-at < minHole {
		s.start = at
	}
	m.run = s
	for m.run.end-m.run.start < cmp.Or(m.reach, lookAhead) {
		s, err := m.lookup(m.run.end)
		switch {
		case errors.Is(err, io.EOF):
			if m.size-m.run.end < minHole {
				m.run.end = m.size
			}
			return nil
		case err != nil:
			return err
		case s.start-m.run.end >= minHole:
			m.ahead = &s
			return nil
		}
		m.run.end = s.end
	}
	return nil
}

// lookup returns the next stretch, in whole blocks.
func (m *mapped) lookup(off int64) (span, error) {
	if m.ahead != nil {
		s := *m.ahead
		m.ahead = nil
		return s, nil
	}
	if off >= m.size {
		return span{}, io.EOF
	}
	s, err := m.disk.next(off)
	if err != nil {
		return span{}, err
	}
	s.start = max(off, s.start&^(blockSize-1))
	s.end = min(m.size, (s.end+blockSize-1)&^(blockSize-1))
	return s, nil
}

func (m *mapped) fill(p []byte, off int64) error {
	share := max(m.unit, (int64(len(p))/int64(m.fan)+m.unit-1)/m.unit*m.unit)
	if m.fan == 1 || share >= int64(len(p)) {
		return m.readFull(p, off)
	}
	var g errgroup.Group
	for at := int64(0); at < int64(len(p)); at += share {
		part := p[at:min(at+share, int64(len(p)))]
		g.Go(func() error { return m.readFull(part, off+at) })
	}
	return g.Wait() //nolint:wrapcheck // ReadNext wraps it
}

func (m *mapped) readFull(p []byte, off int64) error {
	n, err := m.disk.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err //nolint:wrapcheck // ReadNext wraps it
}

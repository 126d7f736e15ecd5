package disk

import "io"

// Extents is a disk that knows its holes and can be read at any place.
type Extents interface {
	io.ReaderAt
	// Next returns the next stretch [start, end) at or after off that may hold data, and io.EOF when there is none.
	Next(off int64) (start, end int64, err error)
}

// NewMapped returns a Source that reads a disk of size bytes and skips its holes. Close closes d when it is an io.Closer.
func NewMapped(d Extents, size int64) Source {
	closer, _ := d.(io.Closer)
	return &mapped{disk: extents{d}, size: size, fan: 1, unit: blockSize, closer: closer}
}

type extents struct{ Extents }

func (e extents) next(off int64) (span, error) {
	start, end, err := e.Next(off)
	return span{start, end}, err //nolint:wrapcheck // mapped wraps it
}

package disk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// rawFile maps the extents of a sparse file.
type rawFile struct {
	*os.File
	size int64
}

// OpenRaw returns a Source that reads a raw disk from a file and skips the file's holes. Close closes the file.
func OpenRaw(f *os.File) (Source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open raw disk: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open raw disk %s: %w: not a regular file", f.Name(), ErrUnsupported)
	}
	r := rawFile{File: f, size: info.Size()}
	return &mapped{disk: r, size: r.size, fan: 1, unit: blockSize, closer: f}, nil
}

func (r rawFile) next(off int64) (span, error) {
	start, err := unix.Seek(int(r.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return span{}, io.EOF
	case errors.Is(err, unix.EINVAL): // a file system that cannot tell: all is data
		return span{off, r.size}, nil
	case err != nil:
		return span{}, fmt.Errorf("seek data from offset %d: %w", off, err)
	}
	end, err := unix.Seek(int(r.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		return span{}, fmt.Errorf("seek hole from offset %d: %w", start, err)
	}
	return span{start, end}, nil
}

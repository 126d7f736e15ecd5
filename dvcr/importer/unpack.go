package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Limits on what a compressed image may do to the importer.
const (
	// maxRatio is how many bytes may come out of one that went in. Deflate cannot do more than 1032; more than that is what
	// bombs need and disks do not, whose zeros come to little beside their data.
	maxRatio = 1100
	// maxDictionary bounds the memory that a file may demand for decoding; "xz -9" and "zstd --long" stay below.
	maxDictionary = 128 << 20
)

// unpack returns a reader of what in holds, unpacked when it is compressed, and whether it is.
func unpack(in *bufio.Reader, o Options) (out io.ReadCloser, packed bool, err error) {
	head, err := in.Peek(32)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err //nolint:wrapcheck // the source's own error
	}
	kind, err := sniffCompression(head)
	if errors.Is(err, errPlain) {
		return io.NopCloser(in), false, nil
	}
	if err != nil {
		return nil, false, err
	}
	counted := &counter{r: in}
	d, err := decompressor(kind, counted, head)
	if err != nil {
		return nil, false, damaged(kind, err)
	}
	return &bounded{ReadCloser: d, kind: kind, in: counted, max: o.MaxVirtualSize, grace: o.UnpackGrace}, true, nil
}

func decompressor(kind string, in io.Reader, head []byte) (io.ReadCloser, error) {
	switch kind {
	case "gzip":
		return gzip.NewReader(in) //nolint:wrapcheck // unpack wraps it
	case "zstd":
		// One worker decodes in the reader's own goroutine: nothing reads ahead of an import that has ended.
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err //nolint:wrapcheck // unpack wraps it
		}
		return z.IOReadCloser(), nil
	}
	if size := xzDictionary(head); size > maxDictionary {
		return nil, fmt.Errorf("%w: the xz data wants a dictionary of %d bytes, over %d", ErrTooLarge, size, maxDictionary)
	}
	r, err := xz.NewReader(in)
	if err != nil {
		return nil, err //nolint:wrapcheck // unpack wraps it
	}
	return io.NopCloser(r), nil
}

// xzDictionary reads the dictionary size from the first block header of an xz file: after the 12 bytes of the stream header
// come the header's size, its flags and, when these say so, two sizes, then a filter: id 0x21, one byte of properties.
func xzDictionary(head []byte) int64 {
	const filters, sizes, lzma2 = 14, 0xc0, 0x21
	if len(head) < filters+3 || head[13]&sizes != 0 || head[filters] != lzma2 {
		return 0
	}
	size, err := lzma.DecodeDictCap(head[filters+2])
	if err != nil {
		return 0
	}
	return size
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err //nolint:wrapcheck // a reader passes errors on
}

// bounded stops a decompressor that gives too much.
type bounded struct {
	io.ReadCloser
	kind string
	in   *counter
	out  int64
	max  int64
	// grace is how much may come out before the ratio counts.
	grace int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.out += int64(n)
	switch {
	case b.out > b.max:
		return 0, fmt.Errorf("%w: unpacked it is over %d bytes", ErrTooLarge, b.max)
	case b.out > b.grace && b.out/maxRatio > b.in.n:
		return 0, fmt.Errorf("%w: %d bytes of %s unpack to more than %d; this is no honest image", ErrTooLarge, b.in.n, b.kind, b.out)
	case err != nil && err != io.EOF: //nolint:errorlint // a wrapped EOF is an error
		return n, damaged(b.kind, err)
	}
	return n, err //nolint:wrapcheck // nil or io.EOF
}

// damaged says that compressed data cannot be read, unless the source failed to deliver it.
func damaged(kind string, err error) error {
	if isClassified(err) || isCanceled(err) {
		return err
	}
	return fmt.Errorf("%w: the %s data is damaged: %w", ErrNotDiskImage, kind, err)
}

package disk

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	kflate "github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	"github.com/lima-vm/go-qcow2reader/image/qcow2"
	"github.com/lima-vm/go-qcow2reader/log"
)

// Limits of a qcow2 header, from its specification (cluster_bits, l1_size) or above any real image.
const (
	qcow2HeaderSize     = 104
	qcow2MinClusterBits = 9
	qcow2MaxClusterBits = 21
	qcow2MaxL1Bytes     = 32 << 20

	qcow2ExternalData   = 1 << 2
	qcow2KnownFeatures  = 1<<5 - 1
	qcow2LookAheadBytes = 1 << 30
)

// qcow2Header holds what must be known before the reader library may look at the file: the library follows backing
// files on this machine by itself, so an image that names one never reaches it.
type qcow2Header struct {
	version                uint32
	backingOffset          uint64
	clusterBits            uint32
	size                   uint64
	crypt                  uint32
	l1Entries              uint32
	l1Offset               uint64
	incompatible           uint64
	headerLength, fileSize int64
}

// QCOW2Magic is how a qcow2 file begins.
const QCOW2Magic = qcow2.Magic

// OpenQCOW2 returns a Source that reads the disk inside a qcow2 image (version 2 or 3, with compressed clusters) of size
// bytes. Images with a backing file, encryption or external data are refused. Close closes r when it is an io.Closer.
func OpenQCOW2(r io.ReaderAt, size int64) (Source, error) {
	h, err := readQCOW2Header(r, size)
	if err != nil {
		return nil, fmt.Errorf("open qcow2 image: %w", err)
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("open qcow2 image: %w", err)
	}
	setUpLibrary()
	img, err := qcow2.Open(onlyReaderAt{r}, nil)
	if err == nil {
		err = img.Readable()
	}
	if err != nil {
		return nil, fmt.Errorf("open qcow2 image: %w: %w", ErrInvalidImage, err)
	}
	closer, _ := r.(io.Closer)
	return &mapped{
		disk:   qcow2Map{Qcow2: img, cluster: int64(1) << h.clusterBits},
		size:   img.Size(),
		fan:    runtime.GOMAXPROCS(0),
		unit:   max(blockSize, int64(1)<<h.clusterBits),
		closer: closer,
	}, nil
}

// QCOW2Size returns the virtual size that a qcow2 header declares, for limits that apply before the whole file is here.
func QCOW2Size(header []byte) (int64, error) {
	if len(header) < qcow2HeaderSize || string(header[:4]) != QCOW2Magic {
		return 0, fmt.Errorf("read qcow2 header: %w", ErrInvalidImage)
	}
	return int64(min(binary.BigEndian.Uint64(header[24:]), 1<<62)), nil
}

func readQCOW2Header(r io.ReaderAt, size int64) (*qcow2Header, error) {
	var b [qcow2HeaderSize]byte
	if n, err := r.ReadAt(b[:], 0); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: the file ends inside its header", ErrInvalidImage)
		}
		return nil, fmt.Errorf("read header: %w", err)
	}
	if string(b[:4]) != QCOW2Magic {
		return nil, fmt.Errorf("%w: no qcow2 signature", ErrInvalidImage)
	}
	be := binary.BigEndian
	h := &qcow2Header{
		version: be.Uint32(b[4:]), backingOffset: be.Uint64(b[8:]), clusterBits: be.Uint32(b[20:]), size: be.Uint64(b[24:]),
		crypt: be.Uint32(b[32:]), l1Entries: be.Uint32(b[36:]), l1Offset: be.Uint64(b[40:]), headerLength: 72, fileSize: size,
	}
	if h.version >= 3 {
		h.incompatible = be.Uint64(b[72:])
		h.headerLength = int64(be.Uint32(b[100:]))
	}
	return h, nil
}

// check refuses what cannot be read, names it, and bounds every number that sizes an allocation.
func (h *qcow2Header) check() error {
	clusters := int64(1) << min(h.clusterBits, 62)
	l1Bytes := int64(h.l1Entries) * 8
	switch {
	case h.version != 2 && h.version != 3:
		return fmt.Errorf("%w: qcow version %d, only 2 and 3 can be read", ErrUnsupported, h.version)
	case h.backingOffset != 0:
		return fmt.Errorf("%w: the image has a backing file; flatten it with \"qemu-img convert -O qcow2\"", ErrUnsupported)
	case h.crypt != 0:
		return fmt.Errorf("%w: the image is encrypted; decrypt it with \"qemu-img convert\"", ErrUnsupported)
	case h.incompatible&qcow2ExternalData != 0:
		return fmt.Errorf("%w: the image keeps its data in another file; merge it with \"qemu-img convert -O qcow2\"", ErrUnsupported)
	case h.incompatible&^qcow2KnownFeatures != 0:
		return fmt.Errorf("%w: unknown incompatible qcow2 features %#x", ErrUnsupported, h.incompatible)
	case h.clusterBits < qcow2MinClusterBits || h.clusterBits > qcow2MaxClusterBits:
		return fmt.Errorf("%w: cluster bits %d", ErrInvalidImage, h.clusterBits)
	case h.version >= 3 && (h.headerLength < qcow2HeaderSize || h.headerLength > clusters):
		return fmt.Errorf("%w: header length %d", ErrInvalidImage, h.headerLength)
	case h.size == 0 || h.size > 1<<62:
		return fmt.Errorf("%w: virtual size %d", ErrInvalidImage, h.size)
	case l1Bytes == 0 || l1Bytes > qcow2MaxL1Bytes:
		return fmt.Errorf("%w: L1 table of %d entries", ErrInvalidImage, h.l1Entries)
	case h.l1Offset == 0 || h.l1Offset >= uint64(h.fileSize) || int64(h.l1Offset)+l1Bytes > h.fileSize:
		return fmt.Errorf("%w: the L1 table lies outside the file", ErrInvalidImage)
	}
	return nil
}

// onlyReaderAt hides everything else the reader can do, its name above all: names are how backing files are found.
type onlyReaderAt struct{ io.ReaderAt }

// qcow2Map adapts the library's extents.
type qcow2Map struct {
	*qcow2.Qcow2
	cluster int64
}

func (q qcow2Map) next(off int64) (span, error) {
	for size := q.Size(); off < size; {
		e, err := q.Extent(off, min(qcow2LookAheadBytes, size-off))
		if err != nil {
			return span{}, fmt.Errorf("look up extent at offset %d: %w: %w", off, ErrInvalidImage, err)
		}
		if e.Length <= 0 {
			return span{}, fmt.Errorf("look up extent at offset %d: %w: empty extent", off, ErrInvalidImage)
		}
		if e.Allocated && !e.Zero {
			return span{off, off + e.Length}, nil
		}
		off += e.Length
	}
	return span{}, io.EOF
}

// setUpLibrary teaches the qcow2 library, which keeps one table per process, a faster deflate and zstd, and keeps it from
// writing to this process's log.
var setUpLibrary = sync.OnceFunc(func() {
	log.SetWarnFunc(nil)
	qcow2.SetDecompressor(qcow2.CompressionTypeZlib, func(r io.Reader) (io.ReadCloser, error) {
		d := inflaters.Get().(*inflater) //nolint:errcheck // the pool holds nothing else
		return d, d.reset(r)
	})
	qcow2.SetDecompressor(qcow2.CompressionTypeZstd, func(r io.Reader) (io.ReadCloser, error) {
		d := unzstds.Get().(*unzstd) //nolint:errcheck // the pool holds nothing else
		return d, d.Reset(r)
	})
})

var (
	inflaters = sync.Pool{New: func() any { return &inflater{flate: kflate.NewReader(nil)} }}
	unzstds   = sync.Pool{New: func() any { return newUnzstd() }}
)

// inflater reads one deflate stream, from memory, which the decoder is fastest at. Read fills all of p, because the library
// decodes a cluster anew for each short read.
type inflater struct {
	flate  io.ReadCloser
	packed bytes.Buffer
	reader bytes.Reader
}

func (d *inflater) reset(r io.Reader) error {
	d.packed.Reset()
	if _, err := d.packed.ReadFrom(r); err != nil {
		return fmt.Errorf("read compressed cluster: %w", err)
	}
	d.reader.Reset(d.packed.Bytes())
	return d.flate.(flate.Resetter).Reset(&d.reader, nil) //nolint:errcheck,wrapcheck // every flate reader can be reset
}

func (d *inflater) Read(p []byte) (int, error) { return readSome(d.flate, p) }

func (d *inflater) Close() error {
	inflaters.Put(d)
	return nil
}

// unzstd does the same for zstd frames.
type unzstd struct{ *zstd.Decoder }

func newUnzstd() *unzstd {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(4<<qcow2MaxClusterBits))
	if err != nil {
		panic(err) // the options are constants
	}
	return &unzstd{d}
}

func (d *unzstd) Read(p []byte) (int, error) { return readSome(d.Decoder, p) }

func (d *unzstd) Close() error {
	unzstds.Put(d)
	return nil
}

// readSome reads until p is full or the stream ends.
func readSome(r io.Reader, p []byte) (int, error) {
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

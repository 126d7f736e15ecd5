package disk

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"github.com/opencontainers/go-digest"
)

// FaceKind names a form in which a disk can be read by programs that know nothing of tables and packs. Its blob is made of the
// disk's own frames, one behind the other, so it can be read without being stored.
type FaceKind string

const (
	// FaceContainerDisk is the layer of a container image: a tar archive with disk/disk.img in it, owned by 107:107.
	FaceContainerDisk FaceKind = "containerDisk"
	// FaceRaw is the raw disk, compressed.
	FaceRaw FaceKind = "raw"
)

// Media types of the faces' blobs.
const (
	ContainerDiskMediaType = "application/vnd.oci.image.layer.v1.tar+zstd"
	RawDiskMediaType       = "application/vnd.kubevirt.disk.raw+zstd"
)

// FaceKinds lists all faces in the order in which an index names them.
func FaceKinds() []FaceKind { return []FaceKind{FaceContainerDisk, FaceRaw} }

// MediaType returns the media type of the face's blob.
func (k FaceKind) MediaType() string {
	if k == FaceRaw {
		return RawDiskMediaType
	}
	return ContainerDiskMediaType
}

// zeroFrame bounds the zeros that one frame of a face stands for.
const zeroFrame = int64(128) << 20

// diskOwner owns the file in a containerDisk: the user that QEMU runs as.
const diskOwner = 107

// Face is the blob of one face of a disk, laid out but not read. Its bytes follow from the table of contents alone, so whoever
// has table and packs serves the same blob.
type Face struct {
	table *table
	// Kind of the face.
	Kind FaceKind
	// Size of the blob in bytes.
	Size  int64
	parts []facePart
}

// facePart is a stretch of the blob: a frame of a pack, or literal bytes.
type facePart struct {
	off     int64  // in the blob
	frame   int32  // -1: literal
	literal []byte // as it stands in the blob
	plain   []byte // what that decodes to; nil: zeros
	raw     int64  // bytes that it decodes to
}

// NewFace lays out a face of the disk that t describes.
func NewFace(t *Table, kind FaceKind) (*Face, error) {
	f := &Face{table: t.table, Kind: kind}
	head, tail, err := envelope(kind, t.table.size)
	if err != nil {
		return nil, err
	}
	f.stored(head)
	end := int64(0)
	for _, row := range t.table.rows {
		f.zeros(row.off - end)
		frame := &t.table.frames[row.frame]
		f.parts = append(f.parts, facePart{off: f.Size, frame: int32(row.frame), raw: int64(frame.rawSize)})
		f.Size += int64(frame.size)
		end = row.off + int64(frame.rawSize)
	}
	f.zeros(t.table.size - end)
	f.stored(tail)
	return f, nil
}

// envelope returns what stands before and behind the disk's bytes in what the blob decodes to.
func envelope(kind FaceKind, size int64) (head, tail []byte, err error) {
	switch kind {
	case FaceRaw:
		return nil, nil, nil
	case FaceContainerDisk:
	default:
		return nil, nil, fmt.Errorf("make face %q of a disk: %w: no such face", kind, ErrUnsupported)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	epoch := time.Unix(0, 0)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "disk/", Mode: 0o755, Uid: diskOwner, Gid: diskOwner, ModTime: epoch, Format: tar.FormatGNU},
		{Typeflag: tar.TypeReg, Name: "disk/disk.img", Mode: 0o644, Uid: diskOwner, Gid: diskOwner, Size: size, ModTime: epoch, Format: tar.FormatGNU},
	} {
		if err := w.WriteHeader(h); err != nil {
			return nil, nil, fmt.Errorf("make tar header for a disk of %d bytes: %w", size, err)
		}
	}
	const block = 512
	return b.Bytes(), make([]byte, -size&(block-1)+2*block), nil
}

func (f *Face) stored(plain []byte) {
	if len(plain) > 0 {
		f.literal(facePart{literal: storedFrame(plain), plain: plain, raw: int64(len(plain))})
	}
}

func (f *Face) literal(p facePart) {
	p.off, p.frame = f.Size, -1
	f.parts = append(f.parts, p)
	f.Size += int64(len(p.literal))
}

func (f *Face) zeros(n int64) {
	for ; n > 0; n -= min(n, zeroFrame) {
		b := fullZeroFrame
		if n < zeroFrame {
			b = zerosFrame(n)
		}
		f.literal(facePart{literal: b, raw: min(n, zeroFrame)})
	}
}

// Frames of literal bytes are written by hand: a face must stay the same whatever version of the compressor serves it.
const (
	zstdMagic      = 0xFD2FB528
	zstdDescriptor = 0x80 // content size of 4 bytes, window descriptor, no checksum
	zstdWindow     = 0x38 // 128 KiB
	zstdBlock      = 128 << 10

	blockRaw, blockRLE = 0, 1
)

var fullZeroFrame = zerosFrame(zeroFrame)

func frameHeader(size int64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, zstdMagic)
	b = append(b, zstdDescriptor, zstdWindow)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

func appendBlockHeader(b []byte, kind, size int, last bool) []byte {
	v := uint32(size)<<3 | uint32(kind)<<1
	if last {
		v |= 1
	}
	return append(b, byte(v), byte(v>>8), byte(v>>16))
}

// zerosFrame is a frame of n zeros, 4 bytes for each 128 KiB.
func zerosFrame(n int64) []byte {
	b := frameHeader(n)
	for n > 0 {
		size := min(n, zstdBlock)
		n -= size
		b = append(appendBlockHeader(b, blockRLE, int(size), n == 0), 0)
	}
	return b
}

// storedFrame is a frame of some bytes as they are.
func storedFrame(p []byte) []byte {
	b := frameHeader(int64(len(p)))
	return append(appendBlockHeader(b, blockRaw, len(p), true), p...)
}

// Packs reads bytes [off, off+n) of a pack. The reader may yield fewer bytes only with an error.
type Packs interface {
	OpenPack(ctx context.Context, pack digest.Digest, off, n int64) (io.ReadCloser, error)
}

// Packs names the packs that the face is made of.
func (f *Face) Packs() []digest.Digest {
	all := make([]digest.Digest, len(f.table.packs))
	for i, p := range f.table.packs {
		all[i] = p.digest
	}
	return all
}

// Open reads the blob from off on. It holds one pack open at a time and reads nothing ahead.
func (f *Face) Open(ctx context.Context, packs Packs, off int64) (io.ReadCloser, error) {
	if off < 0 || off > f.Size {
		return nil, fmt.Errorf("read face from offset %d: it is %d bytes long", off, f.Size)
	}
	first := sort.Search(len(f.parts), func(i int) bool { return f.parts[i].off > off }) - 1
	r := &faceReader{ctx: ctx, face: f, packs: packs, next: max(first, 0)}
	if first >= 0 && off < f.Size {
		if err := r.advance(); err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, r.current, off-f.parts[first].off); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	} else {
		r.next = len(f.parts)
	}
	return r, nil
}

// faceReader reads parts one after the other, neighbors in a pack in one go.
type faceReader struct {
	ctx     context.Context //nolint:containedctx // io.Reader has none to offer
	face    *Face
	packs   Packs
	next    int
	current io.Reader
	body    io.Closer
}

func (r *faceReader) Read(p []byte) (int, error) {
	for {
		if r.current == nil {
			if r.next == len(r.face.parts) {
				return 0, io.EOF
			}
			if err := r.advance(); err != nil {
				return 0, err
			}
		}
		n, err := r.current.Read(p)
		if n > 0 {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, err //nolint:wrapcheck // as storage says it
		}
		if err := r.Close(); err != nil {
			return 0, err
		}
	}
}

// advance opens the next part, and with it those that follow it in the same pack.
func (r *faceReader) advance() error {
	part := &r.face.parts[r.next]
	if part.frame < 0 {
		r.next++
		r.current = bytes.NewReader(part.literal)
		return nil
	}
	t := r.face.table
	first := t.frames[part.frame]
	end := first.off
	for r.next < len(r.face.parts) {
		n := r.face.parts[r.next].frame
		if n < 0 || t.frames[n].pack != first.pack || t.frames[n].off != end {
			break
		}
		end += t.frames[n].size
		r.next++
	}
	pack := t.packs[first.pack].digest
	body, err := r.packs.OpenPack(r.ctx, pack, int64(first.off), int64(end-first.off))
	if err != nil {
		return fmt.Errorf("open pack %s: %w", pack, err)
	}
	r.body = body
	r.current = &exactReader{r: body, left: int64(end - first.off), pack: pack}
	return nil
}

// Close closes the pack that is open.
func (r *faceReader) Close() error {
	body := r.body
	r.body, r.current = nil, nil
	if body == nil {
		return nil
	}
	if err := body.Close(); err != nil {
		return fmt.Errorf("close pack: %w", err)
	}
	return nil
}

// exactReader turns a pack that ends early into an error.
type exactReader struct {
	r    io.Reader
	left int64
	pack digest.Digest
}

func (r *exactReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if errors.Is(err, io.EOF) && r.left > 0 {
		return n, fmt.Errorf("read pack %s: %w: it ends %d bytes early", r.pack, ErrCorrupt, r.left)
	}
	if r.left == 0 {
		err = nil
	}
	return n, err //nolint:wrapcheck // as storage says it
}

// sortedFaces returns kinds in the order of FaceKinds, each once.
func sortedFaces(kinds []FaceKind) []FaceKind {
	return slices.DeleteFunc(FaceKinds(), func(k FaceKind) bool { return !slices.Contains(kinds, k) })
}

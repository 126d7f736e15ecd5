package disk

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// tocMagic begins each table of contents; its last byte is the version.
const tocMagic = "SLIPTOC\x01"

// Limits that a decoder holds a table to before it believes a number.
const (
	maxDiskSize = int64(1) << 50
	maxPackSize = int64(packSize) + 2*maxChunk
	maxPacks    = 1 << 20
	maxFrames   = 1 << 28
	// firstAlloc bounds what is allocated on the word of a count alone; more is allocated as entries really arrive.
	firstAlloc = 1 << 12
)

// encode returns the table in its binary form, compressed. It first drops packs and frames that no row uses, and puts the
// frames in pack order, so that the same table always gives the same bytes.
func (t *table) encode(e *zstd.Encoder) []byte {
	t.normalize()
	b := []byte(tocMagic)
	b = binary.AppendUvarint(b, uint64(t.size))
	b = binary.AppendUvarint(b, uint64(len(t.packs)))
	for _, p := range t.packs {
		raw, _ := hex.DecodeString(p.digest.Encoded()) //nolint:errcheck // pack digests are made or checked by this package
		b = append(b, raw...)
		b = binary.AppendUvarint(b, uint64(p.size))
	}
	b = t.appendFrames(b)
	b = t.appendRows(b)
	return e.EncodeAll(b, nil)
}

func (t *table) appendFrames(b []byte) []byte {
	next := 0
	for p := range t.packs {
		first := next
		for next < len(t.frames) && t.frames[next].pack == uint32(p) {
			next++
		}
		b = binary.AppendUvarint(b, uint64(next-first))
		end := uint32(0)
		for _, f := range t.frames[first:next] {
			b = binary.AppendUvarint(b, uint64(f.off-end))
			b = binary.AppendUvarint(b, uint64(f.size))
			b = binary.AppendUvarint(b, uint64(f.rawSize))
			b = append(b, f.sum[:]...)
			end = f.off + f.size
		}
	}
	return b
}

func (t *table) appendRows(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(t.rows)))
	var end, expected int64
	for _, r := range t.rows {
		b = binary.AppendUvarint(b, uint64(r.off-end))
		b = binary.AppendVarint(b, int64(r.frame)-expected)
		end = r.off + int64(t.frames[r.frame].rawSize)
		expected = int64(r.frame) + 1
	}
	return b
}

// normalize puts packs in the order of their first use and frames in pack order, and drops those without use.
func (t *table) normalize() {
	const unused = ^uint32(0)
	packAt := slices.Repeat([]uint32{unused}, len(t.packs))
	frameAt := slices.Repeat([]uint32{unused}, len(t.frames))
	var packs []pack
	var order []uint32
	for _, r := range t.rows {
		f := &t.frames[r.frame]
		if packAt[f.pack] == unused {
			packAt[f.pack] = uint32(len(packs))
			packs = append(packs, t.packs[f.pack])
		}
		if frameAt[r.frame] == unused {
			frameAt[r.frame] = 0
			order = append(order, r.frame)
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		x, y := &t.frames[a], &t.frames[b]
		return cmp.Or(cmp.Compare(packAt[x.pack], packAt[y.pack]), cmp.Compare(x.off, y.off))
	})
	frames := make([]frame, len(order))
	for i, old := range order {
		frames[i] = t.frames[old]
		frames[i].pack = packAt[frames[i].pack]
		frameAt[old] = uint32(i)
	}
	for i := range t.rows {
		t.rows[i].frame = frameAt[t.rows[i].frame]
	}
	t.packs, t.frames = packs, frames
}

// decodeTable reads a compressed table of contents and checks that it is consistent in itself: offsets ascend, nothing
// overlaps, nothing lies outside its pack or the disk, and no byte is left over.
func decodeTable(compressed []byte) (*table, error) {
	z, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("decode table of contents: %w: %w", ErrCorrupt, err)
	}
	defer z.Close()
	d := tocDecoder{r: bufio.NewReaderSize(z, 64<<10)}
	t, err := d.table()
	if err != nil {
		return nil, fmt.Errorf("decode table of contents: %w: %w", ErrCorrupt, err)
	}
	return t, nil
}

// tocDecoder reads values until the first error and then only zeros.
type tocDecoder struct {
	r   *bufio.Reader
	err error
}

func (d *tocDecoder) table() (*table, error) {
	magic := make([]byte, len(tocMagic))
	d.full(magic)
	if d.err == nil && string(magic) != tocMagic {
		return nil, fmt.Errorf("magic %q is not that of a table this version can read", magic)
	}
	t := &table{size: int64(d.uvarint("disk size", uint64(maxDiskSize)))}
	d.packs(t)
	for p := range t.packs {
		d.frames(t, p)
	}
	d.rows(t)
	if d.err == nil {
		if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
			d.fail("bytes after the last row")
		}
	}
	return t, d.err
}

func (d *tocDecoder) packs(t *table) {
	n := d.uvarint("pack count", maxPacks)
	t.packs = make([]pack, 0, min(n, firstAlloc))
	for range n {
		var s sum
		d.full(s[:])
		p := pack{digest: digest.NewDigestFromBytes(digest.SHA256, s[:]), size: int64(d.uvarint("pack size", uint64(maxPackSize)))}
		if d.err != nil {
			return
		}
		t.packs = append(t.packs, p)
	}
}

func (d *tocDecoder) frames(t *table, p int) {
	n := d.uvarint("frame count", maxFrames)
	limit := t.packs[p].size
	end := int64(0)
	for range n {
		off := end + int64(d.uvarint("frame gap", uint64(limit)))
		f := frame{pack: uint32(p), off: uint32(off), size: uint32(d.positive("frame size", uint64(limit)))}
		f.rawSize = uint32(d.positive("chunk size", maxChunk))
		d.full(f.sum[:])
		end = off + int64(f.size)
		if end > limit {
			d.fail("frame ends at %d in a pack of %d bytes", end, limit)
		}
		if d.err != nil {
			return
		}
		t.frames = append(t.frames, f)
	}
}

func (d *tocDecoder) rows(t *table) {
	n := d.uvarint("row count", maxFrames)
	var end, expected int64
	for range n {
		off := end + int64(d.uvarint("row gap", uint64(t.size)))
		index := expected + d.varint("row frame", maxFrames)
		if d.err == nil && (index < 0 || index >= int64(len(t.frames))) {
			d.fail("row names frame %d of %d", index, len(t.frames))
		}
		if d.err != nil {
			return
		}
		end, expected = off+int64(t.frames[index].rawSize), index+1
		if end > t.size {
			d.fail("row ends at %d on a disk of %d bytes", end, t.size)
			return
		}
		t.rows = append(t.rows, row{off: off, frame: uint32(index)})
	}
}

func (d *tocDecoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *tocDecoder) full(p []byte) {
	if d.err != nil {
		return
	}
	if _, err := io.ReadFull(d.r, p); err != nil {
		d.fail("read: %w", noEOF(err))
	}
}

func (d *tocDecoder) uvarint(what string, limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(d.r)
	switch {
	case err != nil:
		d.fail("read %s: %w", what, noEOF(err))
	case v > limit:
		d.fail("%s %d is over %d", what, v, limit)
	default:
		return v
	}
	return 0
}

func (d *tocDecoder) positive(what string, limit uint64) uint64 {
	v := d.uvarint(what, limit)
	if v == 0 {
		d.fail("%s is zero", what)
	}
	return v
}

func (d *tocDecoder) varint(what string, limit int64) int64 {
	if d.err != nil {
		return 0
	}
	v, err := binary.ReadVarint(d.r)
	switch {
	case err != nil:
		d.fail("read %s: %w", what, noEOF(err))
	case v > limit || v < -limit:
		d.fail("%s %d is out of range", what, v)
	default:
		return v
	}
	return 0
}

// noEOF turns the end of input into an error that no caller takes for a regular end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

package disk

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/opencontainers/go-digest"
)

// table is the table of contents: which frame holds which stretch of the disk, and where that frame lies.
// Whatever no row covers is a hole.
type table struct {
	size   int64   // of the disk
	packs  []pack  // in the order of the manifest's layers
	frames []frame // each chunk once; by pack, and in a pack by offset, once encoded
	rows   []row   // by offset in the disk, without overlaps
}

// pack is one blob of frames.
type pack struct {
	digest digest.Digest
	size   int64
}

// frame is one compressed chunk: bytes [off, off+size) of a pack.
type frame struct {
	sum     sum
	pack    uint32
	off     uint32
	size    uint32
	rawSize uint32
}

// row places a frame's content in the disk.
type row struct {
	off   int64
	frame uint32
}

// dataSize returns how many bytes of the disk are not holes.
func (t *table) dataSize() int64 {
	var n int64
	for _, r := range t.rows {
		n += int64(t.frames[r.frame].rawSize)
	}
	return n
}

// contentDigest names the disk's content, whatever the packs and the compression: the sha256 over the disk's size and each
// row's offset, length and chunk digest. Two artifacts with the same content digest restore to the same bytes.
func (t *table) contentDigest() digest.Digest {
	h := sha256.New()
	var b [12 + sha256.Size]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t.size))
	h.Write(b[:8])
	for _, r := range t.rows {
		f := &t.frames[r.frame]
		binary.LittleEndian.PutUint64(b[:], uint64(r.off))
		binary.LittleEndian.PutUint32(b[8:], f.rawSize)
		copy(b[12:], f.sum[:])
		h.Write(b[:])
	}
	return digest.NewDigest(digest.SHA256, h)
}

// stored returns how many bytes of the packs this disk uses.
func (t *table) stored() int64 {
	var n int64
	for i := range t.frames {
		n += int64(t.frames[i].size)
	}
	return n
}

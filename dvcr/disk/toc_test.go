package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// sample is a table with a frame used twice, a pack used in part, a pack in the wrong order and one without use.
func sample() *table {
	name := func(b byte) (s sum) {
		s[0], s[31] = b, b
		return s
	}
	blob := func(b byte, size int64) pack {
		s := name(b)
		return pack{digest: digest.NewDigestFromBytes(digest.SHA256, s[:]), size: size}
	}
	return &table{
		size:  1 << 30,
		packs: []pack{blob(1, 1000), blob(2, 2000), blob(3, 3000)},
		frames: []frame{
			{sum: name(11), pack: 2, off: 500, size: 100, rawSize: 70000},
			{sum: name(12), pack: 0, off: 900, size: 100, rawSize: 65536},
			{sum: name(13), pack: 1, off: 0, size: 10, rawSize: 1},
			{sum: name(14), pack: 2, off: 0, size: 400, rawSize: 262144},
		},
		rows: []row{{0, 0}, {70000, 1}, {1 << 20, 3}, {2 << 20, 0}},
	}
}

func unpackTOC(t *testing.T, b []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out, err := d.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTableRoundTrip(t *testing.T) {
	cases := map[string]*table{"sample": sample(), "empty": {}, "one hole": {size: 12345}}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			content := want.contentDigest()
			got, err := decodeTable(want.encode(newEncoder(1)))
			if err != nil {
				t.Fatal(err)
			}
			if got.contentDigest() != content {
				t.Error("the content digest changed")
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(table{}, pack{}, frame{}, row{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTableGolden pins the bytes of a table of contents, before compression.
func TestTableGolden(t *testing.T) {
	b := unpackTOC(t, sample().encode(newEncoder(1)))
	golden(t, "toc.txt", hex.Dump(b)+"content digest "+sample().contentDigest().String()+"\n")
}

func TestEncodeDropsWhatIsNotUsed(t *testing.T) {
	s := sample()
	s.encode(newEncoder(1))
	if len(s.packs) != 2 || len(s.frames) != 3 {
		t.Errorf("%d packs and %d frames are left, want 2 and 3", len(s.packs), len(s.frames))
	}
}

// TestDecodeRefuses changes one value of a good table at a time.
func TestDecodeRefuses(t *testing.T) {
	build := func(edit func(*table)) []byte {
		s := sample()
		s.normalize()
		edit(s)
		b := []byte(tocMagic)
		b = binary.AppendUvarint(b, uint64(s.size))
		b = binary.AppendUvarint(b, uint64(len(s.packs)))
		for _, p := range s.packs {
			raw, _ := hex.DecodeString(p.digest.Encoded())
			b = binary.AppendUvarint(append(b, raw...), uint64(p.size))
		}
		return s.appendRows(s.appendFrames(b))
	}
	good := build(func(*table) {})
	cases := map[string][]byte{
		"nothing":              {},
		"other magic":          append([]byte("SLIPTOC\x02"), good[8:]...),
		"cut off":              good[:len(good)-1],
		"trailing byte":        append(bytes.Clone(good), 0),
		"disk too large":       build(func(t *table) { t.size = maxDiskSize + 1 }),
		"row beyond the disk":  build(func(t *table) { t.size = 1 << 20 }),
		"frame beyond pack":    build(func(t *table) { t.packs[0].size = 450 }),
		"pack too large":       build(func(t *table) { t.packs[0].size = maxPackSize + 1 }),
		"empty frame":          build(func(t *table) { t.frames[0].size = 0 }),
		"empty chunk":          build(func(t *table) { t.frames[0].rawSize = 0 }),
		"chunk too large":      build(func(t *table) { t.frames[0].rawSize = maxChunk + 1 }),
		"row of no frame":      append(bytes.Clone(good[:len(good)-1]), 10), // 5 frames further
		"row before any frame": append(bytes.Clone(good[:len(good)-1]), 17), // 9 frames back
		"endless number":       append([]byte(tocMagic), bytes.Repeat([]byte{0xff}, 11)...),
		"count without rows":   append([]byte(tocMagic), 0, 0, 0xff, 0xff, 0xff, 0x7f),
	}
	if _, err := decodeTable(newEncoder(1).EncodeAll(good, nil)); err != nil {
		t.Fatalf("the unchanged table is refused: %v", err)
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := decodeTable(newEncoder(1).EncodeAll(b, nil)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("decoded with %v, want %v", err, ErrCorrupt)
			}
		})
	}
	if _, err := decodeTable([]byte("not zstd")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("what is no zstd decoded with %v", err)
	}
}

// FuzzTable decodes anything, and expects an error or a table that encodes to itself and keeps its own rules.
func FuzzTable(f *testing.F) {
	s := sample()
	encoded := s.encode(newEncoder(1))
	d, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	plain, err := d.DecodeAll(encoded, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte(tocMagic))
	e := newEncoder(1)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeTable(e.EncodeAll(b, nil))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var end int64
		for _, r := range got.rows {
			if r.off < end || int(r.frame) >= len(got.frames) {
				t.Fatalf("row %+v overlaps or has no frame", r)
			}
			end = r.off + int64(got.frames[r.frame].rawSize)
		}
		if end > got.size {
			t.Fatalf("rows end at %d on a disk of %d bytes", end, got.size)
		}
		content := got.contentDigest()
		again, err := decodeTable(got.encode(e))
		if err != nil {
			t.Fatalf("a table that was decoded cannot be decoded again: %v", err)
		}
		if again.contentDigest() != content {
			t.Fatal("encoding changed the content")
		}
		placesOf(got)
	})
}

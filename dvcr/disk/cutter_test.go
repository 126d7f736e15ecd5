package disk

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// sketch makes a disk from a recipe: each byte is a stretch of 1 to 32 blocks, of zeros when even, of data when odd.
// Data blocks are zero but for their last byte where the recipe says so, which is the hardest case for zero detection.
func sketch(recipe []byte) []byte {
	var out []byte
	random := rand.New(rand.NewPCG(1, 2))
	for _, b := range recipe {
		part := make([]byte, (int(b>>1)%32+1)*blockSize)
		switch {
		case b&1 == 0:
		case b&64 != 0:
			for i := blockSize - 1; i < len(part); i += blockSize {
				part[i] = 1
			}
		default:
			for i := range part {
				part[i] = byte(random.Uint32())
			}
		}
		out = append(out, part...)
	}
	return out
}

// guess is an extent map that tells the truth about data and, at random, calls zero blocks data or holes.
type guess struct {
	*bytes.Reader
	data []bool // by block
}

func newGuess(raw []byte, seed uint64) *guess {
	random := rand.New(rand.NewPCG(seed, 3))
	g := &guess{Reader: bytes.NewReader(raw)}
	for off := 0; off < len(raw); off += blockSize {
		g.data = append(g.data, !isZero(raw[off:min(off+blockSize, len(raw))]) || random.IntN(4) == 0)
	}
	return g
}

func (g *guess) next(off int64) (span, error) {
	n := int(off / blockSize)
	for n < len(g.data) && !g.data[n] {
		n++
	}
	if n >= len(g.data) {
		return span{}, io.EOF
	}
	start := n
	for n < len(g.data) && g.data[n] {
		n++
	}
	return span{int64(start) * blockSize, min(int64(n)*blockSize, g.Size())}, nil
}

// layout is where chunks begin and how long they are.
type layout struct{ Off, Size int64 }

// cutAll runs a source through the cutter as a push does, in slabs of the given size.
func cutAll(t *testing.T, src Source, slabBytes int) []layout {
	t.Helper()
	pool := newSlabPool(4, slabBytes)
	in, work, ordered := make(chan *slab, 1), make(chan *slab), make(chan *slab, 1)
	var g errgroup.Group
	g.Go(func() error {
		defer close(in)
		_, err := readSlabs(t.Context(), src, pool, in, PushOptions{}.withDefaults())
		return err
	})
	g.Go(func() error {
		defer close(work)
		return cutSlabs(t.Context(), in, work, ordered)
	})
	var out []layout
	for s := range work {
		<-ordered
		for _, c := range s.chunks {
			out = append(out, layout{s.off + int64(c.start-s.start), int64(c.end - c.start)})
		}
		pool.put(s)
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkLayout holds a layout against what the format promises.
func checkLayout(t *testing.T, raw []byte, chunks []layout) {
	t.Helper()
	var end int64
	for i, c := range chunks {
		hole := c.Off - end
		switch {
		case hole < 0 || c.Off+c.Size > int64(len(raw)):
			t.Fatalf("chunk %d at %d overlaps or lies outside", i, c.Off)
		case hole > 0 && (hole < minHole || c.Off%blockSize != 0 || end%blockSize != 0):
			t.Fatalf("chunk %d at %d follows a hole of %d bytes", i, c.Off, hole)
		case !allZero(raw[end:c.Off]):
			t.Fatalf("the hole before chunk %d at %d holds data", i, c.Off)
		case c.Size > int64(tierAt(c.Off).max) || c.Off/window != (c.Off+c.Size-1)/window:
			t.Fatalf("chunk %d at %d is %d bytes long", i, c.Off, c.Size)
		}
		end = c.Off + c.Size
	}
	if !allZero(raw[end:]) {
		t.Fatal("there is data after the last chunk")
	}
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// FuzzLayout checks that chunks depend on the bytes alone: not on the slab size, nor on what a file system or an image
// format says about its holes.
func FuzzLayout(f *testing.F) {
	f.Add([]byte{3, 8, 5, 14, 9, 16, 1}, uint64(1), uint8(3), uint16(0))
	f.Add([]byte{63, 2, 65, 63, 14, 0, 127, 12, 63}, uint64(7), uint8(0), uint16(77))
	f.Add([]byte{0, 14, 2, 1}, uint64(5), uint8(9), uint16(4000))
	f.Add([]byte{5, 62}, uint64(2), uint8(3), uint16(0))
	f.Add([]byte{5, 62}, uint64(3), uint8(3), uint16(0))
	f.Add(bytes.Repeat([]byte{63, 6, 127, 14, 61}, 8), uint64(9), uint8(40), uint16(512))
	f.Fuzz(func(t *testing.T, recipe []byte, seed uint64, slabBlocks uint8, odd uint16) {
		raw := sketch(recipe[:min(len(recipe), 64)])
		raw = append(raw, bytes.Repeat([]byte{byte(odd)}, int(odd)%blockSize)...)
		want := cutAll(t, NewStream(bytes.NewReader(raw), -1), slabSize)
		checkLayout(t, raw, want)

		bytesPerSlab := (int(slabBlocks) + 1) * blockSize
		if diff := cmp.Diff(want, cutAll(t, NewStream(bytes.NewReader(raw), -1), bytesPerSlab)); diff != "" {
			t.Errorf("slabs of %d bytes change the chunks:\n%s", bytesPerSlab, diff)
		}
		g := newGuess(raw, seed)
		guessed := cutAll(t, &mapped{disk: g, size: g.Size(), fan: 3, unit: blockSize, reach: int64(odd)}, bytesPerSlab)
		if diff := cmp.Diff(want, guessed); diff != "" {
			t.Errorf("another map of holes changes the chunks:\n%s", diff)
		}
	})
}

// TestHoleToTheEnd has a map that knows of a hole up to the end of the disk but not of all the zeros in front of it.
func TestHoleToTheEnd(t *testing.T) {
	raw := sketch([]byte{5, 62})
	g := newGuess(raw, 1)
	for i := range g.data {
		g.data[i] = i < 5 // 3 blocks of data, and 2 of zeros that the map takes for data
	}
	got := cutAll(t, &mapped{disk: g, size: g.Size(), fan: 1, unit: blockSize}, slabSize)
	want := []layout{{0, 9766}, {9766, 3*blockSize - 9766}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chunks (-want +got):\n%s", diff)
	}
}

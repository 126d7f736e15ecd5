package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs: this changes the digest of every disk (-want +got):\n%s", name, diff)
	}
}

func noise(seed uint64, n int) []byte {
	out := make([]byte, n)
	random := rand.New(rand.NewPCG(seed, 11))
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(out[i:], random.Uint64())
	}
	return out
}

// text has few different bytes, as configuration files have.
func text(n int) []byte {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "option-%d = value %x\n", i, i*i)
	}
	return []byte(b.String())[:n]
}

// TestChunkerGolden pins the cuts that the format makes, in every tier, on noise, text and content without any entropy.
func TestChunkerGolden(t *testing.T) {
	var out strings.Builder
	table := sha256.New()
	for _, g := range gear {
		_ = binary.Write(table, binary.LittleEndian, g)
	}
	fmt.Fprintf(&out, "gear[0]=%016x gear[255]=%016x sha256=%s\n", gear[0], gear[255], hex.EncodeToString(table.Sum(nil)))
	inputs := map[string][]byte{"noise": noise(1, 12<<20), "text": text(12 << 20), "zeros": make([]byte, 12<<20)}
	for n := range tiers {
		for _, name := range []string{"noise", "text", "zeros"} {
			fmt.Fprintf(&out, "tier %d, %s:", n, name)
			rest := inputs[name]
			for i := 0; i < 12 && len(rest) > 0; i++ {
				size := tiers[n].cut(rest)
				fmt.Fprintf(&out, " %d", size)
				rest = rest[size:]
			}
			fmt.Fprintln(&out)
		}
	}
	golden(t, "chunks.txt", out.String())
}

// TestChunkSizes checks that the average is near what the tier promises.
func TestChunkSizes(t *testing.T) {
	for n := range tiers {
		tier := &tiers[n]
		data := noise(uint64(n), min(32<<20, 256*tier.avg))
		chunks := 0
		for rest := data; len(rest) > 0; chunks++ {
			rest = rest[tier.cut(rest):]
		}
		if avg := len(data) / chunks; avg < tier.avg*3/4 || avg > tier.avg*5/4 {
			t.Errorf("tier %d: chunks of noise are %d bytes on average, the tier promises %d", n, avg, tier.avg)
		}
	}
}

// TestChunksAreFoundAgain moves content by a few bytes, and expects that cuts move with it.
func TestChunksAreFoundAgain(t *testing.T) {
	data := noise(5, 16<<20)
	moved := append(noise(6, 4096+17), data...)
	known := map[sum]bool{}
	for rest := data; len(rest) > 0; {
		n := tiers[0].cut(rest)
		known[sha256.Sum256(rest[:n])] = true
		rest = rest[n:]
	}
	found := 0
	for rest := moved; len(rest) > 0; {
		n := tiers[0].cut(rest)
		if known[sha256.Sum256(rest[:n])] {
			found += n
		}
		rest = rest[n:]
	}
	if found < len(data)*95/100 {
		t.Errorf("of %d bytes that moved, %d were found again", len(data), found)
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte{1}, uint64(1), uint32(1<<20))
	f.Add([]byte{}, uint64(2), uint32(100))
	f.Add([]byte("a b c"), uint64(3), uint32(5<<20))
	f.Fuzz(func(t *testing.T, prefix []byte, seed uint64, size uint32) {
		data := append(prefix, noise(seed, int(size%(6<<20)))...)
		for n := range tiers {
			tier := &tiers[n]
			for rest := data; len(rest) > 0; {
				size := tier.cut(rest)
				switch {
				case size > tier.max || size > len(rest) || size <= 0:
					t.Fatalf("tier %d cut %d of %d bytes", n, size, len(rest))
				case size < tier.min && size < len(rest):
					t.Fatalf("tier %d cut only %d of %d bytes", n, size, len(rest))
				case tier.cut(rest[:min(len(rest), tier.max)]) != size:
					t.Fatalf("tier %d: bytes beyond the largest chunk change the cut", n)
				}
				rest = rest[size:]
			}
		}
	})
}

func TestTierAt(t *testing.T) {
	cases := map[int64]int{
		0: 0, 4*gib - 1: 0, 4 * gib: 1, 32*gib - 1: 1, 32 * gib: 2, 512*gib - 1: 2, 512 * gib: 3, 1 << 49: 3,
	}
	for off, want := range cases {
		if got := tierAt(off); got != &tiers[want] {
			t.Errorf("offset %d is in tier %+v, want %+v", off, *got, tiers[want])
		}
	}
}

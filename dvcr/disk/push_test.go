package disk_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
)

// region is a stretch of a made-up disk: seed 0 means zeros, and seeds from noise on bytes that do not compress.
type region struct {
	seed uint64
	size int
}

const noise = 100

// makeContent makes the bytes of a disk. Half of a region is random, the other half repeats, unless it is noise.
func makeContent(regions ...region) []byte {
	var out []byte
	for _, r := range regions {
		start := len(out)
		out = append(out, make([]byte, r.size)...)
		if r.seed == 0 {
			continue
		}
		part := out[start:]
		keystream(r.seed).XORKeyStream(part, part)
		for i := 32; r.seed < noise && i < len(part); i += 64 {
			copy(part[i:min(i+32, len(part))], bytes.Repeat([]byte{byte(i / 64), byte(i / 64), byte(i >> 14), byte(i >> 14)}, 8))
		}
	}
	return out
}

// keystream makes random bytes in assembly, which costs the same under the race detector.
func keystream(seed uint64) cipher.Stream {
	var key [aes.BlockSize]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return cipher.NewCTR(block, make([]byte, aes.BlockSize))
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

func openStream(raw []byte) disk.Source {
	return disk.NewStream(bytes.NewReader(raw), int64(len(raw)))
}

func push(t *testing.T, raw []byte, to oras.Target, ref string, o disk.PushOptions) disk.Info {
	t.Helper()
	info, err := disk.Push(t.Context(), openStream(raw), to, ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func restore(t *testing.T, from oras.ReadOnlyTarget, ref string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := disk.Restore(t.Context(), from, ref, f, disk.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func sameContent(t *testing.T, f *os.File, want []byte) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("restored %d bytes that differ from the %d pushed", len(got), len(want))
	}
}

func TestRoundTrip(t *testing.T) {
	cases := map[string][]byte{
		"empty":               nil,
		"one byte":            {1},
		"one sector":          makeContent(region{1, 512}),
		"all zero":            makeContent(region{0, 5 * mib}),
		"zero, below a hole":  makeContent(region{0, 20 * kib}),
		"data only":           makeContent(region{1, 3 * mib}),
		"hole in front":       makeContent(region{0, 3 * mib}, region{1, mib}),
		"hole at the end":     makeContent(region{1, mib}, region{0, 3 * mib}),
		"holes of each size":  makeContent(region{1, mib}, region{0, 4 * kib}, region{2, mib}, region{0, 28 * kib}, region{3, 4 * kib}, region{0, 32 * kib}, region{4, 64 * kib}, region{0, mib}, region{5, 4 * kib}),
		"odd size":            makeContent(region{1, mib}, region{0, 100 * kib}, region{2, mib + 777}),
		"across the window":   makeContent(region{0, 63 * mib}, region{1, 2 * mib}, region{0, 2 * mib}, region{2, mib}),
		"repeated content":    makeContent(region{1, 2 * mib}, region{0, mib}, region{1, 2 * mib}, region{0, mib}, region{1, 2 * mib}),
		"more than one slab":  makeContent(region{7, 5 * mib}, region{0, 40 * kib}, region{8, mib}),
		"zeros at slab edges": makeContent(region{1, 2*mib - 4*kib}, region{0, 8 * kib}, region{2, 2*mib - 20*kib}, region{0, 36 * kib}, region{3, mib}),
	}
	for name, raw := range cases {
		t.Run(name, func(t *testing.T) {
			store := memory.New()
			info := push(t, raw, store, "v1", disk.PushOptions{})
			if info.Config.VirtualSize != int64(len(raw)) {
				t.Errorf("virtual size is %d, want %d", info.Config.VirtualSize, len(raw))
			}
			sameContent(t, restore(t, store, "v1"), raw)
			inspected, err := disk.Inspect(t.Context(), store, "v1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(info, inspected); diff != "" {
				t.Errorf("Inspect differs from what Push returned (-push +inspect):\n%s", diff)
			}
		})
	}
}

// TestSourcesAgree pushes the same disk as a stream, as a sparse file and as qcow2 of several kinds: the digest names the
// content, whatever carried it.
func TestSourcesAgree(t *testing.T) {
	raw := makeContent(region{1, 2*mib + 64*kib}, region{0, 4 * kib}, region{2, 100 * kib}, region{0, 5 * mib}, region{3, 64 * kib}, region{0, 36 * kib}, region{4, 256 * kib}, region{0, 60 * kib})
	dir := t.TempDir()
	sparse := filepath.Join(dir, "sparse.raw")
	writeSparse(t, sparse, raw)
	want := push(t, raw, memory.New(), "v1", disk.PushOptions{}).Digest

	sources := map[string]func(t *testing.T) disk.Source{
		"sparse file":      func(t *testing.T) disk.Source { return openRaw(t, sparse) },
		"unknown size":     func(*testing.T) disk.Source { return disk.NewStream(bytes.NewReader(raw), -1) },
		"qcow2":            func(t *testing.T) disk.Source { return openQCOW2(t, sparse, dir, "qcow2", "") },
		"qcow2 compressed": func(t *testing.T) disk.Source { return openQCOW2(t, sparse, dir, "qcow2", "", "-c") },
		"qcow2 zstd": func(t *testing.T) disk.Source {
			return openQCOW2(t, sparse, dir, "qcow2", "compression_type=zstd", "-c")
		},
		"qcow2 v2":             func(t *testing.T) disk.Source { return openQCOW2(t, sparse, dir, "qcow2", "compat=0.10") },
		"qcow2 small clusters": func(t *testing.T) disk.Source { return openQCOW2(t, sparse, dir, "qcow2", "cluster_size=512") },
		"qcow2 large clusters": func(t *testing.T) disk.Source { return openQCOW2(t, sparse, dir, "qcow2", "cluster_size=2M") },
		"qcow2 extended l2":    func(t *testing.T) disk.Source { return openQCOW2(t, sparse, dir, "qcow2", "extended_l2=on") },
	}
	for name, open := range sources {
		t.Run(name, func(t *testing.T) {
			src := open(t)
			defer src.Close()
			info, err := disk.Push(t.Context(), src, memory.New(), "v1", disk.PushOptions{Concurrency: 3})
			if err != nil {
				t.Fatal(err)
			}
			if info.Digest != want {
				t.Errorf("digest is %s, want %s as for the stream", info.Digest, want)
			}
		})
	}
}

// writeSparse writes raw in blocks and leaves zero blocks out.
func writeSparse(t *testing.T, path string, raw []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off := 0; off < len(raw); off += 4 * kib {
		block := raw[off:min(off+4*kib, len(raw))]
		if bytes.Equal(block, make([]byte, len(block))) {
			continue
		}
		if _, err := f.WriteAt(block, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(len(raw))); err != nil {
		t.Fatal(err)
	}
}

func openRaw(t *testing.T, path string) disk.Source {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	src, err := disk.OpenRaw(f)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func openQCOW2(t *testing.T, raw, dir, format, options string, args ...string) disk.Source {
	t.Helper()
	out := filepath.Join(dir, "image."+format)
	args = append([]string{"convert", "-f", "raw", "-O", format}, args...)
	if options != "" {
		args = append(args, "-o", options)
	}
	qemuImg(t, append(args, raw, out)...)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	src, err := disk.OpenQCOW2(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func qemuImg(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s(install qemu-utils)", args, err, out)
	}
}

func TestPushReusesBase(t *testing.T) {
	store := memory.New()
	v1 := makeContent(region{1, 2 * mib}, region{0, mib}, region{2, 2 * mib})
	// The same files, moved by one block and with one change, as a rebuilt image has them.
	v2 := makeContent(region{9, 4 * kib}, region{1, 2 * mib}, region{0, mib}, region{3, 50 * kib}, region{2, 2 * mib})
	first := push(t, v1, store, "v1", disk.PushOptions{})
	alone := push(t, v2, memory.New(), "v2", disk.PushOptions{})
	counted := &counting{Target: store}
	second := push(t, v2, counted, "v2", disk.PushOptions{Bases: []string{"missing", "v1"}})

	if counted.bytes > first.StoredSize/4 {
		t.Errorf("the second version uploaded %d bytes, the first stored %d", counted.bytes, first.StoredSize)
	}
	if second.Config.ContentDigest != alone.Config.ContentDigest {
		t.Errorf("content digest depends on the base: %s, alone %s", second.Config.ContentDigest, alone.Config.ContentDigest)
	}
	sameContent(t, restore(t, store, "v2"), v2)
	again := push(t, v2, &counting{Target: store}, "v3", disk.PushOptions{Bases: []string{"v1"}})
	if again.Digest != second.Digest {
		t.Errorf("same input and same base gave %s and %s", second.Digest, again.Digest)
	}
}

func TestPushResumes(t *testing.T) {
	store := memory.New()
	raw := makeContent(region{noise, 7 * mib})
	broken := &counting{Target: store, packLimit: 2}
	o := disk.WithPacksOf(2*mib, disk.PushOptions{})
	_, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), broken, "v1", o)
	if !errors.Is(err, errCut) {
		t.Fatalf("push through a target that fails returned %v", err)
	}
	if _, err := store.Resolve(t.Context(), "v1"); err == nil {
		t.Error("an interrupted push left a tag")
	}
	second := &counting{Target: store}
	info := push(t, raw, second, "v1", o)
	if uploaded := second.packs; uploaded != info.Packs-2 {
		t.Errorf("the second attempt uploaded %d of %d packs, want all but the 2 that were there", uploaded, info.Packs)
	}
	if want := push(t, raw, memory.New(), "v1", disk.WithPacksOf(2*mib, disk.PushOptions{Concurrency: 1})).Digest; info.Digest != want {
		t.Errorf("resumed push has digest %s, want %s", info.Digest, want)
	}
}

func TestPushRefuses(t *testing.T) {
	raw := makeContent(region{1, 3 * mib}, region{0, 3 * mib})
	cases := map[string]struct {
		src     disk.Source
		options disk.PushOptions
		want    error
	}{
		"declared too large": {disk.NewStream(bytes.NewReader(raw), int64(len(raw))), disk.PushOptions{MaxVirtualSize: mib}, disk.ErrTooLarge},
		"grows too large":    {disk.NewStream(bytes.NewReader(raw), -1), disk.PushOptions{MaxVirtualSize: mib}, disk.ErrTooLarge},
		"too much data":      {disk.NewStream(bytes.NewReader(raw), -1), disk.PushOptions{MaxData: mib}, disk.ErrTooLarge},
		"longer than said":   {disk.NewStream(bytes.NewReader(raw), mib), disk.PushOptions{}, disk.ErrInvalidImage},
		"shorter than said":  {disk.NewStream(bytes.NewReader(raw), 10*mib), disk.PushOptions{}, io.ErrUnexpectedEOF},
		"torn source":        {disk.NewStream(io.MultiReader(bytes.NewReader(raw), tornReader{}), -1), disk.PushOptions{}, io.ErrUnexpectedEOF},
		"broken source":      {disk.NewStream(io.MultiReader(bytes.NewReader(raw), failingReader{}), -1), disk.PushOptions{}, errCut},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store := memory.New()
			if _, err := disk.Push(t.Context(), c.src, store, "v1", c.options); !errors.Is(err, c.want) {
				t.Errorf("Push returned %v, want %v", err, c.want)
			}
			if _, err := store.Resolve(t.Context(), "v1"); err == nil {
				t.Error("a refused push left a tag")
			}
		})
	}
}

func TestPushCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	raw := makeContent(region{1, 20 * mib})
	_, err := disk.Push(ctx, disk.NewStream(bytes.NewReader(raw), -1), memory.New(), "v1",
		disk.PushOptions{Progress: func(disk.Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Push returned %v after its context ended", err)
	}
}

func TestRestoreLeavesHoles(t *testing.T) {
	raw := makeContent(region{1, mib}, region{0, 70 * mib}, region{2, mib})
	store := memory.New()
	push(t, raw, store, "v1", disk.PushOptions{})
	f := restore(t, store, "v1")
	sameContent(t, f, raw)
	if used := allocated(t, f); used > 3*mib {
		t.Errorf("restored file occupies %d bytes, its data is 2 MiB", used)
	}
}

func TestRestoreReplacesContent(t *testing.T) {
	raw := makeContent(region{0, 100 * kib}, region{1, mib})
	store := memory.New()
	push(t, raw, store, "v1", disk.PushOptions{})
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(makeContent(region{5, 4 * mib})); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Restore(t.Context(), store, "v1", f, disk.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	sameContent(t, f, raw)
}

package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
)

// qcow2Of converts a disk.
func qcow2Of(t testing.TB, raw []byte, args ...string) []byte {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in.raw"), filepath.Join(t.TempDir(), "out.qcow2")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	qemuImg(t, append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), in, out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenQCOW2Refuses(t *testing.T) {
	good := qcow2Of(t, makeContent(region{1, 200 * kib}))
	set32 := func(off int, v uint32) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[off:], v) }
	}
	set64 := func(off int, v uint64) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint64(b[off:], v) }
	}
	cases := map[string]struct {
		edit func([]byte)
		want error
	}{
		"signature":            {set32(0, 0), disk.ErrInvalidImage},
		"version 1":            {set32(4, 1), disk.ErrUnsupported},
		"version 4":            {set32(4, 4), disk.ErrUnsupported},
		"backing file":         {set64(8, 512), disk.ErrUnsupported},
		"tiny clusters":        {set32(20, 8), disk.ErrInvalidImage},
		"giant clusters":       {set32(20, 22), disk.ErrInvalidImage},
		"absurd clusters":      {set32(20, 0xffffffff), disk.ErrInvalidImage},
		"no size":              {set64(24, 0), disk.ErrInvalidImage},
		"absurd size":          {set64(24, 1<<63), disk.ErrInvalidImage},
		"AES":                  {set32(32, 1), disk.ErrUnsupported},
		"LUKS":                 {set32(32, 2), disk.ErrUnsupported},
		"no L1 table":          {set32(36, 0), disk.ErrInvalidImage},
		"giant L1 table":       {set32(36, 0xffffffff), disk.ErrInvalidImage},
		"L1 table at 0":        {set64(40, 0), disk.ErrInvalidImage},
		"L1 table outside":     {set64(40, 1<<40), disk.ErrInvalidImage},
		"L1 table far outside": {set64(40, 1<<63), disk.ErrInvalidImage},
		"external data":        {set64(72, 4), disk.ErrUnsupported},
		"unknown feature":      {set64(72, 1<<20), disk.ErrUnsupported},
		"short header":         {set32(100, 8), disk.ErrInvalidImage},
		"endless header":       {set32(100, 1<<30), disk.ErrInvalidImage},
		"unknown compression":  {func(b []byte) { b[104] = 7; binary.BigEndian.PutUint64(b[72:], 8) }, disk.ErrInvalidImage},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			c.edit(b)
			if _, err := disk.OpenQCOW2(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
				t.Errorf("OpenQCOW2 returned %v, want %v", err, c.want)
			}
		})
	}
	for _, n := range []int{0, 3, 50, 103} {
		if _, err := disk.OpenQCOW2(bytes.NewReader(good[:n]), int64(n)); !errors.Is(err, disk.ErrInvalidImage) {
			t.Errorf("OpenQCOW2 of %d bytes returned %v", n, err)
		}
	}
}

// TestBackingFileIsNeverOpened has an image whose backing file exists and would be read by a reader that follows it.
func TestBackingFileIsNeverOpened(t *testing.T) {
	dir := t.TempDir()
	secret, image := filepath.Join(dir, "secret"), filepath.Join(dir, "image.qcow2")
	if err := os.WriteFile(secret, makeContent(region{1, mib}), 0o600); err != nil {
		t.Fatal(err)
	}
	qemuImg(t, "create", "-f", "qcow2", "-F", "raw", "-b", secret, image)
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := disk.OpenQCOW2(f, 1<<20); !errors.Is(err, disk.ErrUnsupported) {
		t.Errorf("OpenQCOW2 returned %v, want %v", err, disk.ErrUnsupported)
	}
}

// TestTablesThatLoop makes a small file claim gigabytes: all its tables point at one table, whose entries all point at one
// place. Reading ends at the limit on data.
func TestTablesThatLoop(t *testing.T) {
	const cluster, tables = 64 * kib, 8
	be := binary.BigEndian
	cases := map[string]func(b []byte, l2 uint64) uint64{
		"all at one cluster": func(b []byte, l2 uint64) uint64 { return be.Uint64(b[l2:]) },
		"table at itself":    func(_ []byte, l2 uint64) uint64 { return l2 | 1<<63 },
	}
	for name, target := range cases {
		t.Run(name, func(t *testing.T) {
			b := qcow2Of(t, makeContent(region{1, 200 * kib}))
			l1 := be.Uint64(b[40:])
			l2 := be.Uint64(b[l1:]) & 0x00fffffffffffe00
			entry := target(b, l2)
			be.PutUint64(b[24:], tables*cluster/8*cluster)
			be.PutUint32(b[36:], tables)
			for i := range uint64(tables) {
				be.PutUint64(b[l1+8*i:], l2|1<<63)
			}
			for i := range uint64(cluster / 8) {
				be.PutUint64(b[l2+8*i:], entry)
			}
			src, err := disk.OpenQCOW2(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = disk.Push(t.Context(), src, memory.New(), "v1", disk.PushOptions{MaxData: 64 * mib})
			if !errors.Is(err, disk.ErrTooLarge) {
				t.Errorf("Push returned %v, want %v", err, disk.ErrTooLarge)
			}
		})
	}
}

// FuzzQCOW2 reads images with any header and tables; it must end without a panic and without more data than allowed.
func FuzzQCOW2(f *testing.F) {
	raw := makeContent(region{1, 64 * kib}, region{0, 256 * kib}, region{2, 64 * kib})
	f.Add(qcow2Of(f, raw, "-o", "cluster_size=4096"), uint16(40), uint64(1))
	f.Add(qcow2Of(f, raw, "-c", "-o", "cluster_size=4096"), uint16(4096), uint64(1<<62))
	f.Add(qcow2Of(f, raw, "-c", "-o", "cluster_size=4096,compression_type=zstd"), uint16(100), uint64(0))
	f.Add(qcow2Of(f, raw, "-o", "extended_l2=on,cluster_size=16k"), uint16(72), uint64(16))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, value uint64) {
		if len(b) < 8 {
			return
		}
		binary.BigEndian.PutUint64(b[int(at)%(len(b)-7):], value)
		src, err := disk.OpenQCOW2(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if src.Size() > 1<<30 {
			return
		}
		buf := make([]byte, 256*kib)
		for end, data := int64(0), 0; data < 4*mib; {
			off, n, err := src.ReadNext(buf)
			if err != nil {
				return
			}
			if n == 0 || off < end || off+int64(n) > src.Size() {
				t.Fatalf("read %d bytes at %d after %d on a disk of %d", n, off, end, src.Size())
			}
			end, data = off+int64(n), data+n
		}
	})
}

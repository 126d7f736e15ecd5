package disk_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
)

// benchDisk compresses to about half, and is long enough for all stages to be busy.
func benchDisk() []byte {
	return makeContent(region{1, 128 * mib}, region{0, 64 * mib}, region{2, 64 * mib})
}

func BenchmarkPush(b *testing.B) {
	raw := benchDisk()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := disk.Push(b.Context(), disk.NewStream(bytes.NewReader(raw), -1), memory.New(), "v1", disk.PushOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	raw := benchDisk()
	store := memory.New()
	if _, err := disk.Push(b.Context(), disk.NewStream(bytes.NewReader(raw), -1), store, "v1", disk.PushOptions{}); err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(filepath.Join(b.TempDir(), "disk.raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := disk.Restore(b.Context(), store, "v1", f, disk.RestoreOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

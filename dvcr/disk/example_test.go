package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
)

// A disk goes into any OCI target, here one in memory, and comes back as a sparse file.
func Example() {
	ctx := context.Background()
	store := memory.New()
	raw := append(bytes.Repeat([]byte("data"), 25_000), make([]byte, 1<<20)...)

	info, err := disk.Push(ctx, disk.NewStream(bytes.NewReader(raw), int64(len(raw))), store, "v1", disk.PushOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("virtual size", info.Config.VirtualSize, "of which data", info.Config.DataSize)

	f, err := os.CreateTemp("", "disk")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := disk.Restore(ctx, store, "v1", f, disk.RestoreOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	restored, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	fmt.Println("restored the same bytes:", bytes.Equal(restored, raw), err)
	// Output:
	// virtual size 1148576 of which data 102400
	// restored the same bytes: true <nil>
}

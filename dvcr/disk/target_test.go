package disk_test

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/disk"
)

// errCut is what a broken target or source fails with.
var errCut = errors.New("cut off")

// counting counts the packs that reach a target and refuses those beyond packLimit.
type counting struct {
	oras.Target
	packLimit int

	mu    sync.Mutex
	packs int
	bytes int64
}

func (c *counting) Push(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	if d.MediaType == disk.PackMediaType {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.packLimit > 0 && c.packs == c.packLimit {
			return errors.Join(errCut, &errcode.ErrorResponse{StatusCode: 403})
		}
		c.packs++
		c.bytes += d.Size
	}
	return c.Target.Push(ctx, d, r)
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errCut }

// allocated returns how many bytes a file occupies.
func allocated(t *testing.T, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

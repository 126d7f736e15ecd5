package disk_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/utils/clock"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
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

// tornReader ends as truncated archives do, and then as if nothing had happened.
type tornReader struct{}

func (tornReader) Read(p []byte) (int, error) { return min(len(p), 1), io.ErrUnexpectedEOF }

// allocated returns how many bytes a file occupies.
func allocated(t *testing.T, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

// instant is a clock for which pauses pass at once.
type instant struct{ clock.RealClock }

func (instant) After(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

func fetchJSON(t *testing.T, from oras.ReadOnlyTarget, d ocispec.Descriptor, into any) {
	t.Helper()
	b, err := content.FetchAll(t.Context(), from, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func tagJSON(t *testing.T, to oras.Target, mediaType string, v any, tag string) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oras.TagBytes(t.Context(), to, mediaType, b, tag); err != nil {
		t.Fatal(err)
	}
}

package disk_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/disk"
)

// faltering fails the first requests for packs, and breaks bodies after some bytes.
type faltering struct {
	oras.Target
	err      error
	failures int // how many requests fail
	breakAt  int // bytes after which a body breaks; 0: never

	mu    sync.Mutex
	tries int
}

func (f *faltering) fail(d ocispec.Descriptor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.MediaType != disk.PackMediaType {
		return nil
	}
	f.tries++
	if f.tries <= f.failures {
		return f.err
	}
	return nil
}

func (f *faltering) Push(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	if err := f.fail(d); err != nil {
		_, _ = io.CopyN(io.Discard, r, d.Size/2)
		return err
	}
	return f.Target.Push(ctx, d, r)
}

func (f *faltering) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if err := f.fail(d); err != nil {
		return nil, err
	}
	body, err := f.Target.Fetch(ctx, d)
	if err != nil || f.breakAt == 0 || d.MediaType != disk.PackMediaType {
		return body, err
	}
	f.breakAt *= 2
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, int64(f.breakAt)), failingReader{}), body}, nil
}

func answer(code int) error {
	return &errcode.ErrorResponse{Method: "PUT", URL: &url.URL{Host: "dvcr:5000", RawQuery: "_state=long"}, StatusCode: code}
}

func TestPushTriesAgain(t *testing.T) {
	raw := makeContent(region{noise, 2 * mib})
	cases := map[string]struct {
		err      error
		failures int
		tries    int
		want     error
	}{
		"connection refused once":  {errCut, 1, 2, nil},
		"unavailable three times":  {answer(503), 3, 4, nil},
		"unavailable for too long": {answer(503), 9, 4, disk.ErrTarget},
		"too many requests":        {answer(429), 2, 3, nil},
		"denied":                   {answer(403), 9, 1, disk.ErrTarget},
		"full":                     {answer(507), 9, 1, disk.ErrTarget},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			to := &faltering{Target: memory.New(), err: c.err, failures: c.failures}
			_, err := disk.Push(t.Context(), openStream(raw), to, "v1", disk.PushOptions{Clock: instant{}})
			if !errors.Is(err, c.want) || to.tries != c.tries {
				t.Errorf("Push returned %v after %d tries, want %v after %d", err, to.tries, c.want, c.tries)
			}
			if err != nil && (!errors.Is(err, c.err) || strings.Contains(err.Error(), "_state")) {
				t.Errorf("the error hides its cause or shows an upload's state: %v", err)
			}
			if err == nil {
				sameContent(t, restore(t, to.Target, "v1"), raw)
			}
		})
	}
}

func TestRestoreTriesAgain(t *testing.T) {
	raw := makeContent(region{noise, 3 * mib})
	store := memory.New()
	push(t, raw, store, "v1", disk.PushOptions{})
	cases := map[string]struct {
		from *faltering
		want error
	}{
		"connection refused":      {&faltering{err: errCut, failures: 3}, nil},
		"connections break":       {&faltering{breakAt: 100_000}, nil},
		"unavailable":             {&faltering{err: answer(503), failures: 9}, disk.ErrTarget},
		"denied":                  {&faltering{err: answer(401), failures: 1}, disk.ErrTarget},
		"breaks before one frame": {&faltering{err: errCut, failures: 9}, errCut},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.from.Target = store
			f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = disk.Restore(t.Context(), c.from, "v1", f, disk.RestoreOptions{Clock: instant{}})
			if !errors.Is(err, c.want) {
				t.Errorf("Restore returned %v, want %v", err, c.want)
			}
			if err == nil {
				sameContent(t, f, raw)
			}
		})
	}
}

func TestRestoreReportsProgress(t *testing.T) {
	raw := makeContent(region{noise, 3 * mib}, region{0, mib}, region{noise, 3 * mib})
	store := memory.New()
	push(t, raw, store, "v1", disk.PushOptions{})
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last disk.Progress
	_, err = disk.Restore(t.Context(), store, "v1", f, disk.RestoreOptions{Progress: func(p disk.Progress) {
		if p.Done < last.Done || p.Total != 6*mib {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
	}})
	if err != nil || last.Done != 6*mib {
		t.Errorf("restore ended at %+v with %v", last, err)
	}
}

func TestRestoreRefusesOtherFiles(t *testing.T) {
	store := memory.New()
	push(t, makeContent(region{1, mib}), store, "v1", disk.PushOptions{})
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := disk.Restore(t.Context(), store, "v1", f, disk.RestoreOptions{}); !errors.Is(err, disk.ErrUnsupported) {
		t.Errorf("Restore into a device returned %v", err)
	}
}

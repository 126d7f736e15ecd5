package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	storagemiddleware "github.com/distribution/distribution/v3/registry/storage/driver/middleware"
)

// spaceWatch is the name under which the storage wrapper is known to the registry library.
const spaceWatch = "slipway-space"

// registerSpaceWatch adds the wrapper to the library's table, which is one per process.
var registerSpaceWatch = sync.OnceValue(func() error {
	return storagemiddleware.Register(spaceWatch,
		func(_ context.Context, d storagedriver.StorageDriver, _ map[string]any) (storagedriver.StorageDriver, error) {
			return watchedDriver{d}, nil
		})
})

// fullKey finds the flag of a request in its context.
type fullKey struct{}

// noteFull raises the request's flag when a write failed for want of space. The library flattens storage errors to text
// before it answers, so the flag is the only way the reason survives.
func noteFull(ctx context.Context, err error) {
	if isFull(err) {
		if full, ok := ctx.Value(fullKey{}).(*atomic.Bool); ok {
			full.Store(true)
		}
	}
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// watchedDriver notes writes that fail because the disk is full.
type watchedDriver struct{ storagedriver.StorageDriver }

func (d watchedDriver) PutContent(ctx context.Context, path string, content []byte) error {
	err := d.StorageDriver.PutContent(ctx, path, content)
	noteFull(ctx, err)
	return err //nolint:wrapcheck // the library compares these errors
}

func (d watchedDriver) Writer(ctx context.Context, path string, appending bool) (storagedriver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, appending)
	noteFull(ctx, err)
	if err != nil {
		return nil, err //nolint:wrapcheck // the library compares these errors
	}
	return watchedWriter{w, ctx}, nil
}

// watchedWriter notes the same for files written in parts. It keeps the context because its interface has none to offer.
type watchedWriter struct {
	storagedriver.FileWriter
	ctx context.Context //nolint:containedctx // see above
}

// Write also gives up the whole upload when the disk is full, and with it the space that the library would let it keep.
func (w watchedWriter) Write(p []byte) (int, error) {
	n, err := w.FileWriter.Write(p)
	noteFull(w.ctx, err)
	if isFull(err) {
		_ = w.Cancel(w.ctx) // the error that is returned says more
	}
	return n, err //nolint:wrapcheck // the library compares these errors
}

func (w watchedWriter) Commit(ctx context.Context) error {
	err := w.FileWriter.Commit(ctx)
	noteFull(w.ctx, err)
	return err //nolint:wrapcheck // the library compares these errors
}

func (w watchedWriter) Close() error {
	err := w.FileWriter.Close()
	noteFull(w.ctx, err)
	return err //nolint:wrapcheck // the library compares these errors
}

// reportNoSpace answers 507 where the registry would answer 500 because its disk is full.
func reportNoSpace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		full := new(atomic.Bool)
		ctx := context.WithValue(r.Context(), fullKey{}, full)
		next.ServeHTTP(&spaceWriter{ResponseWriter: w, full: full}, r.WithContext(ctx))
	})
}

type spaceWriter struct {
	http.ResponseWriter
	full    *atomic.Bool
	written bool
}

func (w *spaceWriter) WriteHeader(code int) {
	if w.written { // the library answers twice when a client goes away
		return
	}
	w.written = code >= http.StatusOK
	if code >= http.StatusInternalServerError && w.full.Load() {
		code = http.StatusInsufficientStorage
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController and io.Copy reach the writer below.
func (w *spaceWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

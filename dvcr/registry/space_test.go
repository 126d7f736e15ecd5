package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// brokenDriver fails every write with one error.
type brokenDriver struct {
	storagedriver.StorageDriver
	err      error
	canceled int
}

func (d *brokenDriver) PutContent(context.Context, string, []byte) error { return d.err }

func (d *brokenDriver) Writer(context.Context, string, bool) (storagedriver.FileWriter, error) {
	return brokenWriter{err: d.err, canceled: &d.canceled}, nil
}

type brokenWriter struct {
	storagedriver.FileWriter
	err      error
	canceled *int
}

func (w brokenWriter) Cancel(context.Context) error {
	*w.canceled++
	return nil
}

func (w brokenWriter) Write([]byte) (int, error)    { return 0, w.err }
func (w brokenWriter) Commit(context.Context) error { return w.err }
func (w brokenWriter) Close() error                 { return w.err }

func TestFullDiskIsAnsweredAsSuch(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "data", Err: syscall.ENOSPC}
	writes := map[string]func(context.Context, storagedriver.StorageDriver) error{
		"PutContent": func(ctx context.Context, d storagedriver.StorageDriver) error { return d.PutContent(ctx, "/a", nil) },
		"Write": func(ctx context.Context, d storagedriver.StorageDriver) error {
			w, _ := d.Writer(ctx, "/a", false)
			_, err := w.Write(nil)
			return err
		},
		"Commit": func(ctx context.Context, d storagedriver.StorageDriver) error {
			w, _ := d.Writer(ctx, "/a", false)
			return w.Commit(ctx)
		},
		"Close": func(ctx context.Context, d storagedriver.StorageDriver) error {
			w, _ := d.Writer(ctx, "/a", false)
			return w.Close()
		},
	}
	errs := map[error]int{
		full:                                   http.StatusInsufficientStorage,
		fmt.Errorf("over: %w", syscall.EDQUOT): http.StatusInsufficientStorage,
		syscall.EIO:                            http.StatusInternalServerError,
	}
	for name, write := range writes {
		for err, want := range errs {
			broken := &brokenDriver{err: err}
			driver := watchedDriver{broken}
			h := reportNoSpace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := write(r.Context(), driver); got == nil {
					t.Errorf("%s swallowed %v", name, err)
				}
				w.WriteHeader(http.StatusInternalServerError)
			}))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/", nil))
			if gaveUp := broken.canceled > 0; name == "Write" && gaveUp != (want == http.StatusInsufficientStorage) {
				t.Errorf("Write with %v gave the upload up: %t", err, gaveUp)
			}
			if rec.Code != want {
				t.Errorf("%s with %v is answered %d, want %d", name, err, rec.Code, want)
			}
		}
	}
}

func TestOtherAnswersStay(t *testing.T) {
	h := reportNoSpace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Value(fullKey{}).(*atomic.Bool).Store(true)
		w.WriteHeader(http.StatusNotFound)
	}))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("answered %d, want %d", rec.Code, http.StatusNotFound)
	}
}

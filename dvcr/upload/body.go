package upload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Body is the content of one request. It must be closed.
type Body struct {
	// Size is how long the whole file is, or -1 when the user did not say.
	Size int64

	slot   *Slot
	from   io.Reader
	rc     *http.ResponseController
	idle   time.Duration
	stop   func() bool
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	eof     bool
	broken  bool // by the user's side
	aborted bool // by ours
}

// Read implements io.Reader. A connection on which nothing arrives for too long is broken.
func (b *Body) Read(p []byte) (int, error) {
	if err := b.patience(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	b.slot.arrived(n)
	if err != nil {
		b.mu.Lock()
		b.eof = err == io.EOF //nolint:errorlint // only this is the regular end
		b.broken = !b.eof && !b.aborted
		if b.eof { // from here on a deadline would only end the wait for the answer
			_ = b.deadline(time.Time{})
		}
		b.mu.Unlock()
	}
	return n, err //nolint:wrapcheck // a reader passes errors on
}

func (b *Body) patience() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.aborted {
		return context.Canceled
	}
	return b.deadline(time.Now().Add(b.idle))
}

func (b *Body) deadline(t time.Time) error {
	if err := b.rc.SetReadDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err //nolint:wrapcheck // a reader passes errors on
	}
	return nil
}

// abort ends a Read that waits.
func (b *Body) abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.aborted = true
	if !b.eof {
		_ = b.deadline(time.Unix(1, 0)) // a connection that is gone has ended its Read
	}
}

// ending tells whether the request was read to its end, or broke off.
func (b *Body) ending() (eof, broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.eof, b.broken
}

// Close implements io.Closer: the request is answered.
func (b *Body) Close() error {
	b.stop()
	b.once.Do(func() { close(b.closed) })
	return nil
}

package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// retryPauses are the pauses between attempts to download; after each progress they begin anew.
var retryPauses = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second}

// spool is a download into a file, which others read while it grows.
type spool struct {
	origin origin
	file   *os.File
	state  string // path of the file that describes the download
	o      Options
	meter  *meter

	mu      sync.Mutex
	grown   *sync.Cond
	written int64
	size    int64 // -1 while it is not known
	version string
	done    bool
	err     error
}

// spoolState is what a later process must know to continue.
type spoolState struct {
	Origin  string `json:"origin"`
	Version string `json:"version"`
	Size    int64  `json:"size"`
}

// openSpool opens the download in dir and continues an earlier one of the same origin.
func openSpool(dir string, from origin, o Options, m *meter) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create download directory: %w", noSpace(err))
	}
	file, err := os.OpenFile(filepath.Join(dir, "source"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open download file: %w", noSpace(err))
	}
	s := &spool{origin: from, file: file, state: filepath.Join(dir, "source.json"), o: o, meter: m, size: -1}
	s.grown = sync.NewCond(&s.mu)
	if err := s.resume(); err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// resume keeps what an earlier process downloaded if the server can be asked for the rest of the same version.
func (s *spool) resume() error {
	var old spoolState
	b, err := os.ReadFile(s.state)
	if err == nil && json.Unmarshal(b, &old) == nil && old.Origin == s.origin.String() && old.Version != "" {
		info, err := s.file.Stat()
		if err != nil {
			return fmt.Errorf("look at download file: %w", err)
		}
		s.written, s.size, s.version = info.Size(), old.Size, old.Version
		return nil
	}
	return s.restart()
}

// restart drops what was downloaded.
func (s *spool) restart() error {
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("truncate download file: %w", err)
	}
	s.written, s.size, s.version = 0, -1, ""
	if err := os.Remove(s.state); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove download state: %w", err)
	}
	return nil
}

// download runs until all is in the file, and tells the readers how it ended.
func (s *spool) download(ctx context.Context) error {
	err := s.retry(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.err = true, err
	s.grown.Broadcast()
	return err
}

func (s *spool) retry(ctx context.Context) error {
	if s.size >= 0 && s.written == s.size { // an earlier process has seen its end
		s.meter.begin(s.written, s.size)
		return nil
	}
	for attempt := 0; ; attempt++ {
		before := s.written
		err := s.attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // as it is
		}
		if s.written > before {
			attempt = 0
		}
		if !worthRetrying(err) || attempt >= len(retryPauses) {
			return fmt.Errorf("download %s: %w", s.origin, err)
		}
		select {
		case <-s.o.Clock.After(pause(attempt, err)):
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
	}
}

// pause is how long to wait after a failed attempt: what the server asks for, if it asks for more.
func pause(attempt int, err error) time.Duration {
	var answer *answerError
	if errors.As(err, &answer) {
		return max(retryPauses[attempt], answer.after)
	}
	return retryPauses[attempt]
}

// attempt downloads over one connection, from where the last one ended.
func (s *spool) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience, late := s.origin.patience(s.o)
	timer := s.o.Clock.AfterFunc(patience, func() { cancel(late) })
	defer timer.Stop()

	o, err := s.origin.open(ctx, s.written, s.version)
	if err != nil {
		return s.stalled(ctx, err)
	}
	defer o.Close()
	if err := s.accept(o); err != nil {
		return err
	}
	from := &watched{o, timer, patience}
	if _, err := io.CopyN(io.Discard, from, s.written-o.off); err != nil {
		return s.stalled(ctx, err)
	}
	return s.copy(ctx, from)
}

// accept compares the answer with what is in the file, and remembers what it says.
func (s *spool) accept(o *opened) error {
	size := o.size
	if s.written > 0 {
		if o.version != s.version || size >= 0 && s.size >= 0 && size != s.size {
			return errChanged
		}
		size = max(size, s.size)
	}
	if size > s.o.maxDownload() {
		return s.tooLarge(size)
	}
	s.meter.begin(s.written, size)
	return s.know(size, o.version)
}

// know remembers what the download is, also for a later process.
func (s *spool) know(size int64, version string) error {
	s.mu.Lock()
	s.size, s.version = size, version
	s.mu.Unlock()
	b, err := json.Marshal(spoolState{Origin: s.origin.String(), Version: version, Size: size})
	if err == nil {
		err = os.WriteFile(s.state, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write download state: %w", noSpace(err))
	}
	return nil
}

func (s *spool) copy(ctx context.Context, from io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := s.file.WriteAt(buf[:n], s.written); err != nil {
				return fmt.Errorf("write download file: %w", noSpace(err))
			}
			s.mu.Lock()
			s.written += int64(n)
			s.grown.Broadcast()
			s.mu.Unlock()
			s.meter.downloaded(s.written)
		}
		if s.written > s.o.maxDownload() {
			return s.tooLarge(s.written)
		}
		switch {
		case err == io.EOF && (s.size < 0 || s.written == s.size): //nolint:errorlint // only this is the regular end
			return s.know(s.written, s.version)
		case err == io.EOF: //nolint:errorlint // see above
			return fmt.Errorf("%w: the server sent %d of %d bytes", ErrUnreachable, s.written, s.size)
		case err != nil:
			return s.stalled(ctx, err)
		}
	}
}

func (s *spool) tooLarge(size int64) error {
	return fmt.Errorf("%w: %d bytes or more, the limit is %d", ErrTooLarge, size, s.o.maxDownload())
}

// maxDownload is how long a file with a disk of the largest size may be: formats add tables and headers to the data.
func (o Options) maxDownload() int64 {
	const headers, tables = 16 << 20, 32
	return o.MaxVirtualSize + o.MaxVirtualSize/tables + headers
}

// length returns how long the download is, or -1 while that is not known.
func (s *spool) length() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return s.written
	}
	return s.size
}

// stalled names the reason of a connection that this side broke off.
func (s *spool) stalled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); isClassified(cause) {
		return cause //nolint:wrapcheck // an error of this package
	}
	return requestError(err)
}

// close releases the file.
func (s *spool) close() { s.file.Close() }

// watched postpones the alarm with each byte that arrives.
type watched struct {
	io.Reader
	timer clock.Timer
	stall time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.timer.Reset(w.stall)
	}
	return n, err //nolint:wrapcheck // a reader passes errors on
}

// reader reads the file from its beginning and waits for what is not there yet.
func (s *spool) reader() *spoolReader { return &spoolReader{spool: s} }

type spoolReader struct {
	spool *spool
	off   int64
}

func (r *spoolReader) Read(p []byte) (int, error) {
	s := r.spool
	s.mu.Lock()
	for r.off == s.written && !s.done {
		s.grown.Wait()
	}
	available, err := s.written-r.off, s.err
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if available == 0 {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), available)], r.off)
	r.off += int64(n)
	s.meter.consumed(r.off)
	if n > 0 {
		return n, nil
	}
	return n, err //nolint:wrapcheck // a reader passes errors on
}

// noSpace marks a full disk.
func noSpace(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w for the download: free some or enlarge the disk: %w", ErrNoSpace, err)
	}
	return err
}

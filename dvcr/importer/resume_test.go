package importer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
)

// flaky is a server whose connections break. It counts what it sent.
type flaky struct {
	content  []byte
	version  string // entity tag, or ""
	ranges   bool
	perConn  int           // bytes after which a connection breaks; 0: never
	holdAt   int           // offset at which it waits for release; 0: never
	reached  chan struct{} // closed when it waits there
	release  chan struct{}
	chunked  bool // does not say how long the content is
	mu       sync.Mutex
	sent     int
	requests []string // Range headers
}

// total returns how many bytes were sent.
func (f *flaky) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}

// asked returns the Range headers of all requests.
func (f *flaky) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// change edits the server between requests.
func (f *flaky) change(edit func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit()
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Header.Get("Range"))
	content, version := f.content, f.version
	f.mu.Unlock()
	if version != "" {
		w.Header().Set("ETag", version)
	}
	off, code := 0, http.StatusOK
	if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && f.ranges {
		if v := r.Header.Get("If-Range"); v == "" || v == version {
			off, _ = strconv.Atoi(strings.TrimSuffix(from, "-"))
			if off >= len(content) {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(content)))
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			code = http.StatusPartialContent
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, len(content)-1, len(content)))
		}
	}
	if !f.chunked {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)-off))
	}
	w.WriteHeader(code)
	f.send(w, r, content[off:], off)
}

func (f *flaky) send(w http.ResponseWriter, r *http.Request, rest []byte, off int) {
	for n := 0; len(rest) > 0; {
		if f.perConn > 0 && n >= f.perConn {
			panic(http.ErrAbortHandler)
		}
		f.mu.Lock()
		hold := f.holdAt > 0 && off+n >= f.holdAt && f.release != nil
		f.mu.Unlock()
		if hold {
			f.hold(w, r)
		}
		part := rest[:min(len(rest), 16<<10)]
		if _, err := w.Write(part); err != nil {
			return
		}
		rest, n = rest[len(part):], n+len(part)
		f.mu.Lock()
		f.sent += len(part)
		f.mu.Unlock()
	}
}

// hold waits until it is released or the client is gone.
func (f *flaky) hold(w http.ResponseWriter, r *http.Request) {
	w.(http.Flusher).Flush()
	f.mu.Lock()
	reached, release := f.reached, f.release
	f.reached = nil
	f.mu.Unlock()
	if reached != nil {
		close(reached)
	}
	select {
	case <-release:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

func TestDownloadSurvivesBrokenConnections(t *testing.T) {
	raw := rawDisk(1, 3*mib)
	cases := map[string]struct {
		server  *flaky
		maxSent int // 0: not checked
	}{
		"with ranges":              {server: &flaky{content: raw, version: `"1"`, ranges: true, perConn: mib}, maxSent: len(raw)},
		"without an entity tag":    {server: &flaky{content: raw, ranges: true, perConn: mib}, maxSent: len(raw)},
		"weak entity tag":          {server: &flaky{content: raw, version: `W/"1"`, ranges: true, perConn: mib}, maxSent: len(raw)},
		"packed":                   {server: &flaky{content: gz(t, raw), version: `"1"`, ranges: true, perConn: mib / 2}},
		"qcow2":                    {server: &flaky{content: convert(t, raw, "-O", "qcow2"), version: `"1"`, ranges: true, perConn: mib}},
		"length unknown":           {server: &flaky{content: raw, version: `"1"`, chunked: true}},
		"ranges ignored, unbroken": {server: &flaky{content: raw, version: `"1"`}, maxSent: len(raw)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			reg := dvcr(t).Client()
			job := httpJob(listen(t, c.server.ServeHTTP))
			if s := finishJob(t, newRunner(t, reg, loopback()), job); s.Err != nil {
				t.Fatal(s.Err)
			}
			same(t, stored(t, reg, job.Destination), raw)
			if c.maxSent > 0 && c.server.total() > c.maxSent {
				t.Errorf("the server sent %d bytes for %d", c.server.total(), c.maxSent)
			}
		})
	}
}

// TestServerThatIgnoresRanges sends all of the image each time; it must not be taken for its rest.
func TestServerThatIgnoresRanges(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	connections := 0
	url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		connections++
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		if connections == 1 {
			_, _ = w.Write(raw[:mib])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(raw)
	})
	reg := dvcr(t).Client()
	job := httpJob(url)
	if s := finishJob(t, newRunner(t, reg, loopback()), job); s.Err != nil {
		t.Fatal(s.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

func TestServerThatStopsHalfWay(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	cases := map[string]http.HandlerFunc{
		"always at the same byte": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
			_, _ = w.Write(raw[:mib])
			panic(http.ErrAbortHandler)
		},
		"wrong range": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
				_, _ = w.Write(raw[:mib])
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(raw)-1, len(raw)))
			w.WriteHeader(http.StatusPartialContent)
		},
		"range without meaning": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
				_, _ = w.Write(raw[:mib])
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Range", "bytes ?")
			w.WriteHeader(http.StatusPartialContent)
		},
	}
	for name, h := range cases {
		t.Run(name, func(t *testing.T) {
			s := finishJob(t, newRunner(t, dvcr(t).Client(), loopback()), httpJob(listen(t, h)))
			if !errors.Is(s.Err, importer.ErrUnreachable) {
				t.Errorf("failed with %v, want %v", s.Err, importer.ErrUnreachable)
			}
		})
	}
}

// TestServerThatStandsStill is asked again after the alarm, and then answers.
func TestServerThatStandsStill(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	f := &flaky{content: raw, version: `"1"`, ranges: true, holdAt: mib, reached: make(chan struct{}), release: make(chan struct{})}
	reached := f.reached
	clock := &testClock{}
	o := loopback()
	o.Dir, o.Clock = t.TempDir(), clock
	reg := dvcr(t).Client()
	r := newRunner(t, reg, o)
	job := httpJob(listen(t, f.ServeHTTP))
	r.Ensure(t.Context(), job)
	<-reached
	waitForDownload(t, o.Dir, mib)
	f.change(func() { f.holdAt = 0 })
	clock.ring()
	if s := finishJob(t, r, job); s.Err != nil {
		t.Fatal(s.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
	if asked := f.asked(); len(asked) != 2 || asked[1] == "" {
		t.Errorf("requests had ranges %q, want one whole and one partial", asked)
	}
}

// killedAfter runs a job until the server has sent part of the image, and ends the runner, as the end of a process does to
// all that is in its memory.
func killedAfter(t *testing.T, f *flaky, reg importer.Registry, o importer.Options, job importer.Job) {
	t.Helper()
	reached, hold := f.reached, int64(f.holdAt)
	r := importer.NewRunner(reg, o)
	r.Ensure(t.Context(), job)
	<-reached
	waitForDownload(t, o.Dir, hold)
	r.Close()
	f.change(func() { f.holdAt = 0 })
}

// waitForDownload returns when the file of the only download in dir has n bytes.
func waitForDownload(t *testing.T, dir string, n int64) {
	t.Helper()
	for t.Context().Err() == nil {
		for _, path := range leftovers(t, dir) {
			if info, err := os.Stat(path); err == nil && info.Size() >= n {
				return
			}
		}
		runtime.Gosched()
	}
	t.Fatal("the download did not arrive")
}

func TestImportContinuesAfterAKill(t *testing.T) {
	raw := rawDisk(1, 4*mib)
	cases := map[string]struct {
		version string
		change  bool
		resumes bool
	}{
		"same image":              {version: `"1"`, resumes: true},
		"changed in between":      {version: `"1"`, change: true, resumes: true},
		"server names no version": {},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := &flaky{content: raw, version: c.version, ranges: true, holdAt: 2 * mib, reached: make(chan struct{}), release: make(chan struct{})}
			reg := dvcr(t).Client()
			o := loopback()
			o.Dir, o.Clock = t.TempDir(), &testClock{}
			job := httpJob(listen(t, f.ServeHTTP))
			killedAfter(t, f, reg, o, job)
			want := raw
			if c.change {
				want = rawDisk(2, 4*mib)
				f.change(func() { f.content, f.version = want, `"2"` })
			}
			before := f.total()
			if s := finishJob(t, newRunner(t, reg, o), job); s.Err != nil {
				t.Fatal(s.Err)
			}
			same(t, stored(t, reg, job.Destination), want)
			if asked := f.asked(); (asked[1] != "") != c.resumes {
				t.Errorf("the second process asked for range %q", asked[1])
			}
			if c.resumes && !c.change && f.total()-before > 3*mib {
				t.Errorf("the second process downloaded %d bytes", f.total()-before)
			}
		})
	}
}

// TestKilledAfterTheDownload finds a complete download, of which the server has no more bytes to give.
func TestKilledAfterTheDownload(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	sent := new(atomic.Int64)
	url := listen(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(countingWriter{w, sent}, r, "", time.Unix(1e9, 0), bytes.NewReader(raw))
	})
	o := loopback()
	o.Dir = t.TempDir()
	server := startDVCR(t, t.TempDir())
	reg := &vanishing{Client: server.Client(), close: func() { closeRegistry(t, server) }}
	if s := finishJob(t, newRunner(t, reg, o), httpJob(url)); !errors.Is(s.Err, importer.ErrRegistry) {
		t.Fatalf("with DVCR away: %v, want %v", s.Err, importer.ErrRegistry)
	}
	if len(leftovers(t, o.Dir)) == 0 {
		t.Fatal("the download was not kept")
	}
	second := dvcr(t).Client()
	if s := finishJob(t, newRunner(t, second, o), httpJob(url)); s.Err != nil {
		t.Fatal(s.Err)
	}
	same(t, stored(t, second, httpJob(url).Destination), raw)
	if sent.Load() > int64(len(raw))+1000 { // and an error page
		t.Errorf("the server sent %d bytes of an image of %d", sent.Load(), len(raw))
	}
}

// countingWriter counts what a server sends.
type countingWriter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	w.sent.Add(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

// vanishing is a registry that goes away when it is about to get a manifest, after everything else.
type vanishing struct {
	*registry.Client
	close func()
}

func (v *vanishing) Repository(name string) (*remote.Repository, error) {
	repo, err := v.Client.Repository(name)
	if err != nil {
		return nil, err
	}
	repo.Client = vanishingClient{repo.Client, v}
	return repo, nil
}

type vanishingClient struct {
	remote.Client
	v *vanishing
}

func (c vanishingClient) Do(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
		c.v.close()
	}
	return c.Client.Do(r)
}

// TestDVCRAway stops the registry in the middle of an import and starts it again.
func TestDVCRAway(t *testing.T) {
	raw := rawDisk(1, 56*mib)
	f := &flaky{content: raw, version: `"1"`, ranges: true, holdAt: 52 * mib, reached: make(chan struct{}), release: make(chan struct{})}
	dir := t.TempDir()
	server := startDVCR(t, dir)
	reg := server.Client()
	o := loopback()
	o.Dir = t.TempDir()
	r := newRunner(t, reg, o)
	job := httpJob(listen(t, f.ServeHTTP))
	reached := f.reached
	r.Ensure(t.Context(), job)
	<-reached
	closeRegistry(t, server)
	close(f.release)
	s := finishJob(t, r, job)
	if !errors.Is(s.Err, importer.ErrRegistry) {
		t.Fatalf("with DVCR away: %v, want %v", s.Err, importer.ErrRegistry)
	}
	sent := f.total()
	startDVCR(t, dir)
	if again := r.Ensure(t.Context(), job); again.Phase != importer.Failed {
		t.Errorf("a failed job is %s before Retry", again.Phase)
	}
	r.Retry(job.ID)
	if s := finishJob(t, r, job); s.Err != nil {
		t.Fatal(s.Err)
	}
	if f.total() > sent+len(raw)/4 {
		t.Errorf("the retry downloaded %d bytes more", f.total()-sent)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

func startDVCR(t *testing.T, dir string) *registry.Server {
	t.Helper()
	s, err := registry.NewServer(registry.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

package disk_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
)

// edited returns a copy with some bytes changed at each of the places.
func edited(raw []byte, places ...int) []byte {
	next := slices.Clone(raw)
	for _, at := range places {
		for i := range 100 {
			next[at+i] ^= byte(i + 1)
		}
	}
	return next
}

// fileOf writes a file that is sparse where raw is.
func fileOf(t *testing.T, raw []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for at := 0; at < len(raw); at += mib {
		part := raw[at:min(at+mib, len(raw))]
		if bytes.Count(part, []byte{0}) == len(part) {
			continue
		}
		if _, err := f.WriteAt(part, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(len(raw))); err != nil {
		t.Fatal(err)
	}
	return f
}

func wantContent(t *testing.T, f *os.File, want []byte) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the file holds %d bytes other than the %d of the disk", len(got), len(want))
	}
}

func TestDeltaRestore(t *testing.T) {
	old := makeContent(region{noise + 1, 6 * mib}, region{0, 2 * mib}, region{noise + 2, 4 * mib})
	next := edited(old, mib, 9*mib)
	store := memory.New()
	push(t, old, store, "v1", disk.PushOptions{})
	push(t, next, store, "v2", disk.PushOptions{Bases: []string{"v1"}})
	table, err := disk.LoadTable(t.Context(), store, "v1")
	if err != nil {
		t.Fatal(err)
	}
	lying := edited(old, 3*mib)
	const chunk = 256 * kib

	cases := map[string]struct {
		file    []byte
		seed    []byte
		resume  bool
		fetched int64 // at most
		kept    bool
		copied  bool
	}{
		"from a seed":                       {seed: old, fetched: 2 * chunk, copied: true},
		"in place":                          {file: old, resume: true, fetched: 2 * chunk, kept: true},
		"from a seed that has changed":      {seed: lying, fetched: 3 * chunk, copied: true},
		"from a seed that is cut off":       {seed: old[:6*mib], fetched: 5 * mib, copied: true},
		"again":                             {file: next, resume: true, fetched: 0, kept: true},
		"in place, what is there is junk":   {file: makeContent(region{noise + 9, 14 * mib}), resume: true, fetched: 10 * mib},
		"in place, half of it":              {file: next[:5*mib], resume: true, fetched: 6 * mib, kept: true},
		"in place, without keeping":         {file: old, fetched: 10 * mib},
		"in place and from a seed together": {file: next[:5*mib], seed: old, resume: true, fetched: chunk, kept: true, copied: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := fileOf(t, c.file)
			o := disk.RestoreOptions{Resume: c.resume}
			if c.seed != nil {
				o.Seeds = []disk.Seed{{Table: table, Disk: fileOf(t, c.seed)}}
			}
			got, err := disk.Restore(t.Context(), store, "v2", f, o)
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, f, next)
			if got.Fetched > c.fetched || c.kept != (got.Kept > 0) || c.copied != (got.Copied > 0) {
				t.Errorf("kept %d, copied %d, fetched %d bytes; want at most %d fetched", got.Kept, got.Copied, got.Fetched, c.fetched)
			}
			if sum := got.Kept + got.Copied + got.Fetched; sum != got.Config.DataSize {
				t.Errorf("%d bytes are accounted for, the disk has %d", sum, got.Config.DataSize)
			}
			if on := allocated(t, f); on > 10*mib+64*kib {
				t.Errorf("the file occupies %d bytes: its hole is filled", on)
			}
		})
	}
}

// TestRestoreGoesOnAfterAKill cuts a restore off and resumes it: what was written is not fetched again.
func TestRestoreGoesOnAfterAKill(t *testing.T) {
	const packed = 4 * mib
	raw := makeContent(region{noise + 1, 2*packed + mib})
	store := memory.New()
	push(t, raw, store, "v1", disk.WithPacksOf(packed, disk.PushOptions{}))
	_, m := manifestOf(t, store, "v1")
	torn := tampered{store, map[string]func([]byte) []byte{m.Layers[2].Digest.String(): func(b []byte) []byte { return b[:len(b)/2] }}}
	f := fileOf(t, nil)
	if _, err := disk.Restore(t.Context(), torn, "v1", f, disk.RestoreOptions{Downloads: 1, Concurrency: 2}); !errors.Is(err, disk.ErrCorrupt) {
		t.Fatalf("the torn restore returned %v", err)
	}
	got, err := disk.Restore(t.Context(), store, "v1", f, disk.RestoreOptions{Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, f, raw)
	if got.Kept < packed {
		t.Errorf("kept %d bytes of a disk that was half there", got.Kept)
	}
	if got.Kept+got.Fetched != int64(len(raw)) {
		t.Errorf("kept %d bytes and fetched %d, of %d", got.Kept, got.Fetched, len(raw))
	}
}

// TestRangesOfRegistries restores a delta from registries of each kind: what is moved must be no more than each can do.
func TestRangesOfRegistries(t *testing.T) {
	server, err := registry.NewServer(registry.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(t.Context()) })
	old := makeContent(region{noise + 1, 8 * mib})
	next := edited(old, mib, 4*mib, 6*mib)
	repo, err := server.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	push(t, old, repo, "v1", disk.PushOptions{})
	push(t, next, repo, "v2", disk.PushOptions{})
	table, err := disk.LoadTable(t.Context(), repo, "v1")
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	backend := &url.URL{Scheme: "http", Host: server.Addr()}
	proxy := httputil.NewSingleHostReverseProxy(backend)
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.Contains(r.Request.URL.Path, "/blobs/") && r.Request.Method == http.MethodGet && r.StatusCode < 300 {
			sent.Add(r.ContentLength)
		}
		return nil
	}
	storage := newStorage(t, server)
	cases := map[string]struct {
		front http.HandlerFunc
		most  int64
	}{
		"with ranges": {proxy.ServeHTTP, mib},
		"without ranges": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			proxy.ServeHTTP(w, r)
		}, 9 * mib},
		"redirecting to storage that takes no registry password": {func(w http.ResponseWriter, r *http.Request) {
			if digest, ok := packOf(r); ok && r.Header.Get("Authorization") != "" {
				http.Redirect(w, r, storage.URL+"/"+digest+"?signature=good", http.StatusTemporaryRedirect)
				return
			}
			proxy.ServeHTTP(w, r)
		}, mib},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			front := httptest.NewServer(c.front)
			t.Cleanup(front.Close)
			target, err := registry.NewClient(strings.TrimPrefix(front.URL, "http://"), server.Credentials()).Repository("vi/team/debian")
			if err != nil {
				t.Fatal(err)
			}
			sent.Store(0)
			f := fileOf(t, nil)
			got, err := disk.Restore(t.Context(), target, "v2", f, disk.RestoreOptions{Seeds: []disk.Seed{{Table: table, Disk: fileOf(t, old)}}})
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, f, next)
			if got.Moved > c.most || sent.Load() > c.most || got.Moved == 0 {
				t.Errorf("moved %d bytes, the registry sent %d, want at most %d", got.Moved, sent.Load(), c.most)
			}
		})
	}
}

func packOf(r *http.Request) (string, bool) {
	_, digest, ok := strings.Cut(r.URL.Path, "/blobs/")
	return digest, ok && r.Method == http.MethodGet && r.Header.Get("Range") != ""
}

// newStorage serves blobs of a registry the way object stores do: to who has a signed address, and to no one with the
// registry's credentials.
func newStorage(t *testing.T, server *registry.Server) *httptest.Server {
	t.Helper()
	repo, err := server.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	storage := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("signature") != "good" || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, body, err := oras.Fetch(r.Context(), repo.Blobs(), strings.TrimPrefix(r.URL.Path, "/"), oras.FetchOptions{})
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	storage.Start()
	t.Cleanup(storage.Close)
	// Another name of the same address, as an object store has another host.
	storage.URL = strings.Replace(storage.URL, "127.0.0.1", "localhost", 1)
	return storage
}

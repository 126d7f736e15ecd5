package importer_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
)

// fault answers a request in place of a registry; n counts the requests for blobs before it. False lets the registry answer.
type fault func(w http.ResponseWriter, r *http.Request, n int) bool

// faulty stands in front of a registry and returns its address.
func faulty(t *testing.T, s *registry.Server, f fault) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr()})
	proxy.ErrorLog = nil
	var blobs atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := -1
		if strings.Contains(r.URL.Path, "/blobs/") && r.Method == http.MethodGet {
			n = int(blobs.Add(1)) - 1
		}
		if !f(w, r, n) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func status(code int, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// blobs answers the requests for blobs, in order; nil and what follows are left to the registry.
func blobs(answers ...func(http.ResponseWriter)) fault {
	return func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n < 0 || n >= len(answers) || answers[n] == nil {
			return false
		}
		answers[n](w)
		return true
	}
}

// always answers all requests for a kind of content.
func always(part string, answer func(http.ResponseWriter)) fault {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		answer(w)
		return true
	}
}

// half sends a part of what it should, and breaks off.
func half(content []byte) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100000000")
		_, _ = w.Write(content[:len(content)/2])
		panic(http.ErrAbortHandler)
	}
}

// TestDVCRFullInMidImport: the import goes well once there is room.
func TestDVCRFullInMidImport(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	f := &flaky{content: raw, version: `"1"`, ranges: true}
	server := dvcr(t)
	var full atomic.Bool
	full.Store(true)
	reg := registry.NewClient(faulty(t, server, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || !full.Load() {
			return false
		}
		w.WriteHeader(http.StatusInsufficientStorage)
		return true
	}), server.Key().Controller())
	r := newRunner(t, reg, loopback())
	job := httpJob(listen(t, f.ServeHTTP))
	if s := finishJob(t, r, job); !errors.Is(s.Err, importer.ErrNoSpace) {
		t.Fatalf("with DVCR full: %v, want %v", s.Err, importer.ErrNoSpace)
	}
	full.Store(false)
	r.Retry(job.ID)
	if s := finishJob(t, r, job); s.Err != nil {
		t.Fatal(s.Err)
	}
	same(t, stored(t, server.Client(), job.Destination), raw)
}

// TestDVCRLosesAPack: what is not whole any more is imported again, and only what is gone is sent.
func TestDVCRLosesAPack(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	server := dvcr(t)
	job := httpJob(serve(t, raw))
	if s := finishJob(t, newRunner(t, server.Client(), loopback()), job); s.Err != nil {
		t.Fatal(s.Err)
	}
	pack := largestBlob(t, server.Client(), job.Destination)
	var lost atomic.Bool
	lost.Store(true)
	reg := registry.NewClient(faulty(t, server, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, url.QueryEscape(pack)) {
			lost.Store(false)
		}
		if !lost.Load() || !strings.HasSuffix(r.URL.Path, pack) {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		return true
	}), server.Key().Controller())
	if s := finishJob(t, newRunner(t, reg, loopback()), job); s.Err != nil {
		t.Fatal(s.Err)
	}
	if lost.Load() {
		t.Error("the pack was not sent again")
	}
	same(t, stored(t, server.Client(), job.Destination), raw)
}

// largestBlob is the digest of the largest layer of a stored disk.
func largestBlob(t *testing.T, reg importer.Registry, destination string) string {
	t.Helper()
	name, tag, _ := strings.Cut(destination, ":")
	repo, err := reg.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := oras.FetchBytes(t.Context(), repo, tag, oras.DefaultFetchBytesOptions)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	_, text, err = oras.FetchBytes(t.Context(), repo, index.Manifests[0].Digest.String(), oras.DefaultFetchBytesOptions)
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	largest := slices.MaxFunc(manifest.Layers, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Size, b.Size) })
	return largest.Digest.String()
}

func TestFaultyRegistry(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	content := layer(t, file{name: "disk/disk.img", content: raw})
	s, repo := foreign(t)
	publish(t, repo, "v1", content)
	if _, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), repo, "disk", disk.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	lost := status(http.StatusNotFound)
	cases := map[string]struct {
		image string
		fault fault
		want  error
		pause time.Duration
	}{
		"no fault":                    {fault: blobs()},
		"503 on a layer":              {fault: blobs(status(503), status(503))},
		"503 that asks for patience":  {fault: blobs(status(503, "Retry-After", "70")), pause: 70 * time.Second},
		"429 that asks for patience":  {fault: blobs(status(429, "Retry-After", "90")), pause: 90 * time.Second},
		"asks for too much patience":  {fault: blobs(status(429, "Retry-After", "60000")), pause: 5 * time.Minute},
		"500 for ever":                {fault: always("/blobs/", status(500)), want: importer.ErrUnreachable},
		"429 for ever":                {fault: always("/manifests/", status(429)), want: importer.ErrUnreachable},
		"breaks off":                  {fault: blobs(half(content))},
		"loses the layer":             {fault: always("/blobs/", lost), want: importer.ErrNotFound},
		"credentials expire":          {fault: expire(half(content)), want: importer.ErrUnauthorized},
		"other content":               {fault: blobs(other(content)), want: importer.ErrChecksum},
		"disk: no fault":              {image: ":disk", fault: blobs()},
		"disk: loses a pack":          {image: ":disk", fault: packs(lost), want: importer.ErrNotFound},
		"disk: 503 on packs for ever": {image: ":disk", fault: packs(status(503)), want: importer.ErrUnreachable},
		"disk: credentials expire":    {image: ":disk", fault: packs(status(401)), want: importer.ErrUnauthorized},
		"disk: swapped pack":          {image: ":disk", fault: packs(func(w http.ResponseWriter) { _, _ = w.Write(content) }), want: importer.ErrNotDiskImage},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			reg, o, clock := dvcr(t).Client(), loopback(), &testClock{}
			o.Dir, o.Clock = t.TempDir(), clock
			if c.image == "" {
				c.image = ":v1"
			}
			job := containerJob(s, c.image)
			job.Source.Registry.Image = faulty(t, s, c.fault) + "/images/debian" + c.image
			state := finishJob(t, newRunner(t, reg, o), job)
			if !errors.Is(state.Err, c.want) {
				t.Fatalf("failed with %v, want %v", state.Err, c.want)
			}
			if c.pause > 0 && !slices.Contains(clock.pauses, c.pause) {
				t.Errorf("paused for %v, want %v", clock.pauses, c.pause)
			}
			if c.want == nil {
				same(t, stored(t, reg, "cvi/debian:v1"), raw)
			}
			if left := leftovers(t, o.Dir); len(left) > 0 && !errors.Is(c.want, importer.ErrUnreachable) {
				t.Errorf("%v are left of the download", left)
			}
		})
	}
}

// expire breaks the first download off and refuses the second.
func expire(broken func(http.ResponseWriter)) fault {
	return func(w http.ResponseWriter, _ *http.Request, n int) bool {
		switch {
		case n == 0:
			broken(w)
		case n > 0:
			status(http.StatusUnauthorized)(w)
		default:
			return false
		}
		return true
	}
}

// packs answers for the large blobs of a disk: config and table are let through.
func packs(answer func(http.ResponseWriter)) fault {
	return func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n < 2 {
			return false
		}
		answer(w)
		return true
	}
}

// other sends content of the right length that is not what was asked for.
func other(content []byte) func(http.ResponseWriter) {
	changed := bytes.Clone(content)
	changed[len(changed)/2] ^= 1
	return func(w http.ResponseWriter) { _, _ = io.Copy(w, bytes.NewReader(changed)) }
}

func TestServerThatAsksForPatience(t *testing.T) {
	raw := rawDisk(1, mib)
	var asked atomic.Int32
	address := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			status(http.StatusServiceUnavailable, "Retry-After", "33")(w)
			return
		}
		_, _ = w.Write(raw)
	})
	o, clock := loopback(), &testClock{}
	o.Clock = clock
	if state := finishJob(t, newRunner(t, dvcr(t).Client(), o), httpJob(address)); state.Err != nil {
		t.Fatal(state.Err)
	}
	if !slices.Contains(clock.pauses, 33*time.Second) {
		t.Errorf("paused for %v", clock.pauses)
	}
}

// TestServerThatLiesAboutLength declares more than it sends, and then less.
func TestServerThatLiesAboutLength(t *testing.T) {
	raw := rawDisk(1, mib)
	for name, declared := range map[string]string{"more": "99999999", "less": "500000", "more than fits": "9223372036854775807"} {
		t.Run(name, func(t *testing.T) {
			o := loopback()
			o.Dir = t.TempDir()
			address := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack() // the library would not lie
				if err != nil {
					panic(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %s\r\n\r\n", declared)
				_, _ = conn.Write(raw)
			})
			job := httpJob(address)
			job.Source.HTTP.SHA256 = strings.Repeat("0", 64) // of no file
			state := finishJob(t, newRunner(t, dvcr(t).Client(), o), job)
			want := map[string]error{"more": importer.ErrUnreachable, "less": importer.ErrChecksum, "more than fits": importer.ErrTooLarge}[name]
			if !errors.Is(state.Err, want) {
				t.Errorf("failed with %v, want %v", state.Err, want)
			}
		})
	}
}

// TestQCOW2Loop imports an image of 4 GiB whose tables lead to themselves: all of the disk is data, none of it is in the file.
func TestQCOW2Loop(t *testing.T) {
	const cluster, inTable = 4096, 512
	image := convert(t, rawDisk(1, cluster), "-O", "qcow2", "-o", "cluster_size=4096")
	l1 := binary.BigEndian.Uint64(image[40:])
	l2 := binary.BigEndian.Uint64(image[l1:])
	const entries = 2048
	binary.BigEndian.PutUint64(image[24:], entries*inTable*cluster)
	binary.BigEndian.PutUint32(image[36:], entries)
	at := uint64(len(image)+cluster-1) &^ (cluster - 1)
	image = append(image, make([]byte, at+8*entries-uint64(len(image)))...)
	binary.BigEndian.PutUint64(image[40:], at)
	for i := range uint64(entries) {
		binary.BigEndian.PutUint64(image[at+8*i:], l2)
	}
	table := l2 & 0x00fffffffffffe00
	for i := range uint64(inTable) {
		binary.BigEndian.PutUint64(image[table+8*i:], l2)
	}
	o := loopback()
	o.Dir, o.UnpackGrace = t.TempDir(), 32*mib
	state := finishJob(t, newRunner(t, dvcr(t).Client(), o), httpJob(serve(t, image)))
	if !errors.Is(state.Err, importer.ErrTooLarge) && !errors.Is(state.Err, importer.ErrNotDiskImage) {
		t.Errorf("failed with %v", state.Err)
	}
	if left := leftovers(t, o.Dir); len(left) > 0 {
		t.Errorf("%v are left of the download", left)
	}
}

// TestLongestName stores an image whose namespace and name are as long as they may be.
func TestLongestName(t *testing.T) {
	raw := rawDisk(1, mib)
	reg := dvcr(t).Client()
	job := httpJob(serve(t, raw))
	job.ID = strings.Repeat("i", 300)
	job.Destination = "vi/" + strings.Repeat("n", 63) + "/" + strings.Repeat("v", 60) + ":0c53cb32-7a62-4c4a-b9d3-6dc6b5dbd2a5"
	if state := finishJob(t, newRunner(t, reg, loopback()), job); state.Err != nil {
		t.Fatal(state.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

package importer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"k8s.io/utils/clock"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

const mib = 1 << 20

// rawDisk makes a disk with a boot sector, data that does not compress, and a hole.
func rawDisk(seed uint64, size int) []byte {
	out := make([]byte, size)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := 512; i+8 <= size; i += 8 {
		if i < size/4 || i > size/2 {
			binary.LittleEndian.PutUint64(out[i:], random.Uint64())
		}
	}
	out[510], out[511] = 0x55, 0xaa
	return out
}

func gz(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	finish(t, w, b)
	return out.Bytes()
}

func xzip(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, w, b)
	return out.Bytes()
}

func zst(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, w, b)
	return out.Bytes()
}

func finish(t *testing.T, w io.WriteCloser, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// convert runs qemu-img over a disk and returns the image.
func convert(t *testing.T, raw []byte, args ...string) []byte {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(append([]string{"convert", "-f", "raw"}, args...), in, out)
	if text, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s(install qemu-utils)", args, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serve answers requests for any path with content, with ranges and an entity tag.
func serve(t *testing.T, content []byte) string {
	t.Helper()
	return listen(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}

func listen(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/disk.img"
}

// dvcr starts a registry.
func dvcr(t *testing.T) *registry.Server {
	t.Helper()
	s, err := registry.NewServer(registry.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeRegistry(t, s) })
	return s
}

func closeRegistry(t *testing.T, s *registry.Server) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// testClock lets pauses pass at once and rings alarms on demand.
type testClock struct {
	clock.RealClock

	mu     sync.Mutex
	alarms map[*alarm]func()
	pauses []time.Duration
}

type alarm struct{ clock *testClock }

func (c *testClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	c.pauses = append(c.pauses, d)
	c.mu.Unlock()
	ch := make(chan time.Time, 1)
	ch <- c.Now()
	return ch
}

func (c *testClock) AfterFunc(_ time.Duration, f func()) clock.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alarms == nil {
		c.alarms = map[*alarm]func(){}
	}
	a := &alarm{c}
	c.alarms[a] = f
	return a
}

// ring lets all alarms go off.
func (c *testClock) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.alarms {
		f()
	}
}

func (a *alarm) C() <-chan time.Time      { return nil }
func (a *alarm) Reset(time.Duration) bool { return true }
func (a *alarm) Stop() bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	delete(a.clock.alarms, a)
	return true
}

// newRunner starts a runner; dir is where downloads go.
func newRunner(t *testing.T, reg importer.Registry, o importer.Options) *importer.Runner {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Clock == nil {
		o.Clock = &testClock{}
	}
	r := importer.NewRunner(reg, o)
	t.Cleanup(r.Close)
	return r
}

func loopback() importer.Options {
	return importer.Options{Egress: egress.Policy{Allow: egress.Loopback}}
}

// finishJob runs a job to its end.
func finishJob(t *testing.T, r *importer.Runner, job importer.Job) importer.State {
	t.Helper()
	for {
		s := r.Ensure(t.Context(), job)
		if s.Phase == importer.Succeeded || s.Phase == importer.Failed {
			return s
		}
		if _, ok := <-r.Events(); !ok {
			t.Fatal("the runner closed")
		}
	}
}

func httpJob(url string) importer.Job {
	return importer.Job{ID: "one", Source: importer.Source{HTTP: &importer.HTTPSource{URL: url}}, Destination: "vi/team/debian:v1"}
}

// stored restores what DVCR holds under a destination.
func stored(t *testing.T, reg importer.Registry, destination string) []byte {
	t.Helper()
	name, tag, _ := strings.Cut(destination, ":")
	repo, err := reg.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := disk.Restore(t.Context(), repo, tag, f, disk.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	if len(got) != len(want) || sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("DVCR holds %d bytes that differ from the %d of the source", len(got), len(want))
	}
}

// leftovers lists what is left in a download directory.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

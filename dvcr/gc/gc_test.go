package gc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	testclock "k8s.io/utils/clock/testing"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/gc"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3/s3test"
)

const mib = 1 << 20

// world is a real registry whose time passes when a test says so. The times of its files are those of the machine, which lie
// before any grace period once an hour of the test's time is over.
type world struct {
	t      *testing.T
	dir    string
	server *registry.Server
	clock  *testclock.FakePassiveClock

	turn chan struct{} // wakes the collector

	mu   sync.Mutex
	live []string
}

func newWorld(t *testing.T, storage *registry.Storage) *world {
	t.Helper()
	w := &world{t: t, turn: make(chan struct{}, 1), dir: t.TempDir(), clock: testclock.NewFakePassiveClock(time.Now())}
	var err error
	if w.server, err = registry.NewServer(registry.Config{Dir: w.dir, Storage: storage, Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Close(context.Background()) })
	w.pass(48 * time.Hour)
	return w
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func (w *world) hold(ref string, held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = slices.DeleteFunc(w.live, func(r string) bool { return r == ref })
	if held {
		w.live = append(w.live, ref)
	}
}

func (w *world) options() gc.Options {
	return gc.Options{
		Store: w.server.Inventory(), Clock: w.clock, Repack: registry.Repacker{Client: w.server.Client()},
		Live: func(context.Context) ([]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.live), nil
		},
	}
}

func (w *world) collect() gc.Report {
	w.t.Helper()
	report, err := gc.Collect(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

func (w *world) repository(name string) *remote.Repository {
	w.t.Helper()
	repo, err := w.server.Client().Repository(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

func (w *world) push(repository, tag string, raw []byte, bases ...string) error {
	repo := w.repository(repository)
	_, err := disk.Push(w.t.Context(), disk.NewStream(bytes.NewReader(raw), int64(len(raw))), repo, tag,
		disk.PushOptions{Bases: bases, Faces: registry.Faces{Repository: repo}})
	return err
}

func (w *world) mustPush(repository, tag string, raw []byte, bases ...string) {
	w.t.Helper()
	if err := w.push(repository, tag, raw, bases...); err != nil {
		w.t.Fatal(err)
	}
}

// wantDisk restores a disk and reads its faces.
func (w *world) wantDisk(repository, tag string, want []byte) {
	w.t.Helper()
	repo := w.repository(repository)
	f, err := os.Create(filepath.Join(w.t.TempDir(), "disk.raw"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	info, err := disk.Restore(w.t.Context(), repo, tag, f, disk.RestoreOptions{})
	if err != nil {
		w.t.Errorf("%s:%s is lost: %v", repository, tag, err)
		return
	}
	if got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40)); err != nil || !bytes.Equal(got, want) {
		w.t.Errorf("%s:%s is another disk now: %v", repository, tag, err)
	}
	if len(info.Faces) != len(disk.FaceKinds()) {
		w.t.Errorf("%s:%s has the faces %v", repository, tag, info.Faces)
	}
	w.wantWhole(repo, tag)
}

// wantWhole reads everything below a tag.
func (w *world) wantWhole(repo *remote.Repository, tag string) {
	w.t.Helper()
	root, err := repo.Resolve(w.t.Context(), tag)
	if err != nil {
		w.t.Error(err)
		return
	}
	todo := []ocispec.Descriptor{root}
	for len(todo) > 0 {
		d := todo[0]
		b, err := content.FetchAll(w.t.Context(), repo, d)
		if err != nil {
			w.t.Errorf("%s below %s is lost: %v", d.Digest, tag, err)
			return
		}
		next, err := content.Successors(w.t.Context(), content.FetcherFunc(func(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		}), d)
		if err != nil {
			w.t.Fatal(err)
		}
		todo = append(todo[1:], next...)
	}
}

func (w *world) blobs() int {
	w.t.Helper()
	all, err := w.server.Inventory().Blobs(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}

// noise makes content of stretches that come from few seeds, so that disks share much and not everything.
func noise(seeds ...uint64) []byte {
	var raw []byte
	for _, seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 7))
		for range mib / 8 {
			raw = binary.LittleEndian.AppendUint64(raw, random.Uint64())
		}
	}
	return raw
}

func TestCollect(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		w := newWorld(t, storage)
		old, next := noise(1, 2, 3), noise(1, 2, 4)
		w.mustPush("vi/team/debian", "uid-1", old)
		w.mustPush("vi/team/debian", "uid-2", next, "uid-1")
		w.mustPush("cvi/gone", "uid-3", noise(5))
		w.mustPush("by/hand", "v1", noise(6))
		w.hold("vi/team/debian:uid-2", true)

		if got := w.collect(); got != (gc.Report{}) {
			t.Errorf("within the grace period %+v is removed", got)
		}
		w.pass(25 * time.Hour)
		got := w.collect()
		if got.Tags != 2 || got.Manifests == 0 || got.Blobs == 0 || got.Bytes < mib {
			t.Errorf("the collection reports %+v", got)
		}
		w.wantDisk("vi/team/debian", "uid-2", next)
		w.wantDisk("by/hand", "v1", noise(6))
		for _, gone := range []string{"vi/team/debian:uid-1", "cvi/gone:uid-3"} {
			repository, tag, _ := bytes.Cut([]byte(gone), []byte(":"))
			if _, err := w.repository(string(repository)).Resolve(t.Context(), string(tag)); err == nil {
				t.Errorf("%s is still there", gone)
			}
		}
		w.pass(25 * time.Hour)
		if got := w.collect(); got.Blobs+got.Manifests+got.Tags > 0 {
			t.Errorf("a second collection finds %+v", got)
		}

		w.hold("vi/team/debian:uid-2", false)
		w.pass(25 * time.Hour)
		w.collect()
		w.wantDisk("by/hand", "v1", noise(6))
		only := newWorld(t, nil)
		only.mustPush("by/hand", "v1", noise(6))
		if got, want := w.blobs(), only.blobs(); got != want {
			t.Errorf("%d blobs are left, %d are needed", got, want)
		}
	})
}

func resolve(t *testing.T, repo *remote.Repository, tag string) ocispec.Descriptor {
	t.Helper()
	d, err := repo.Resolve(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNothingIsRemovedWithoutKnowingWhatLives(t *testing.T) {
	w := newWorld(t, nil)
	raw := noise(1)
	w.mustPush("vi/team/debian", "uid-1", raw)
	w.pass(48 * time.Hour)
	failed := errors.New("the API server is away")
	o := w.options()
	o.Live = func(context.Context) ([]string, error) { return nil, failed }
	if _, err := gc.Collect(t.Context(), o); !errors.Is(err, failed) {
		t.Errorf("Collect returned %v", err)
	}
	w.wantDisk("vi/team/debian", "uid-1", raw)
}

func TestARegistryThatJustStartedIsLeftAlone(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		w := newWorld(t, storage)
		raw := noise(1)
		w.mustPush("vi/team/debian", "uid-1", raw)
		w.pass(48 * time.Hour)
		if err := w.server.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var err error
		if w.server, err = registry.NewServer(registry.Config{Dir: w.dir, Storage: storage, Clock: w.clock}); err != nil {
			t.Fatal(err)
		}
		if err := w.server.Start(); err != nil {
			t.Fatal(err)
		}
		if got := w.collect(); got != (gc.Report{}) {
			t.Errorf("a registry that does not know its clients yet removes %+v", got)
		}
		w.pass(2 * time.Hour)
		if got := w.collect(); got.Tags != 1 {
			t.Errorf("the collection after that reports %+v", got)
		}
	})
}

// TestUseKeeps uses each kind of thing in each way that clients do, and collects at once.
func TestUseKeeps(t *testing.T) {
	raw := noise(1, 2)
	uses := map[string]func(*testing.T, *remote.Repository){
		"resolve the tag": func(t *testing.T, r *remote.Repository) { resolve(t, r, "uid-1") },
		"restore": func(t *testing.T, r *remote.Repository) {
			if _, err := disk.LoadTable(t.Context(), r, "uid-1"); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.mustPush("vi/team/debian", "uid-1", raw)
			w.pass(48 * time.Hour)
			use(t, w.repository("vi/team/debian"))
			if got := w.collect(); got != (gc.Report{}) {
				t.Errorf("what was just used is removed: %+v", got)
			}
			w.wantDisk("vi/team/debian", "uid-1", raw)
		})
	}
}

// TestSignaturesLiveAsLongAsWhatTheySign attaches a signature as clients of a registry without referrers do.
func TestSignaturesLiveAsLongAsWhatTheySign(t *testing.T) {
	w := newWorld(t, nil)
	raw := noise(1)
	w.mustPush("cvi/debian", "uid-1", raw)
	w.hold("cvi/debian:uid-1", true)
	repo := w.repository("cvi/debian")
	signed := resolve(t, repo, "uid-1")
	signature, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, "application/vnd.example.signature",
		oras.PackManifestOptions{Subject: &signed})
	if err != nil {
		t.Fatal(err)
	}
	w.pass(48 * time.Hour)
	w.collect()
	if ok, err := repo.Exists(t.Context(), signature); err != nil || !ok {
		t.Errorf("the signature is gone: %v", err)
	}
	w.hold("cvi/debian:uid-1", false)
	w.pass(48 * time.Hour)
	w.collect()
	w.pass(48 * time.Hour)
	w.collect()
	if n := w.blobs(); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

// TestRepack keeps a little of a large pack alive, and expects the rest to go.
func TestRepack(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		w := newWorld(t, storage)
		w.mustPush("vi/team/debian", "uid-1", noise(1, 2, 3, 4, 5, 6, 7, 8))
		little := noise(8, 9, 10)
		w.mustPush("vi/team/debian", "uid-2", little, "uid-1")
		twin := noise(8, 11)
		w.mustPush("vi/team/debian", "uid-3", twin, "uid-1")
		w.hold("vi/team/debian:uid-2", true)
		w.hold("vi/team/debian:uid-3", true)
		w.pass(25 * time.Hour)
		if got := w.collect(); got.Repacked != 2 {
			t.Errorf("the collection reports %+v", got)
		}
		w.wantDisk("vi/team/debian", "uid-2", little)
		w.wantDisk("vi/team/debian", "uid-3", twin)
		w.pass(25 * time.Hour)
		if got := w.collect(); got.Bytes < 7*mib || got.Repacked != 0 {
			t.Errorf("the collection after that reports %+v", got)
		}
		w.wantDisk("vi/team/debian", "uid-2", little)
		w.wantDisk("vi/team/debian", "uid-3", twin)
	})
}

// TestNoImageIsEverLost imports, deletes and collects side by side, while time passes faster than any grace period. An import may
// be told that what it relied on is gone, and is then repeated; what an object holds must be there, always.
func TestNoImageIsEverLost(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		w := newWorld(t, storage)
		const importers, rounds = 3, 6
		var importing sync.WaitGroup
		kept := make([]map[string][]byte, importers)
		for n := range importers {
			kept[n] = map[string][]byte{}
			importing.Add(1)
			go func() {
				defer importing.Done()
				w.importAndDelete(n, rounds, kept[n])
			}()
		}
		var collecting sync.WaitGroup
		collecting.Add(1)
		go func() {
			defer collecting.Done()
			for range w.turn {
				if _, err := gc.Collect(t.Context(), w.options()); err != nil {
					t.Errorf("collect: %v", err)
				}
			}
		}()
		importing.Wait()
		close(w.turn)
		collecting.Wait()
		for n, images := range kept {
			for tag, raw := range images {
				w.wantDisk(fmt.Sprintf("vi/team/image-%d", n%2), tag, raw)
			}
		}
		w.live = nil
		for range 3 {
			w.pass(25 * time.Hour)
			w.collect()
		}
		if n := w.blobs(); n != 0 {
			t.Errorf("%d blobs are left when no object is", n)
		}
	})
}

// importAndDelete is one importer: it makes objects, imports for them, checks that it finds what it imported, and deletes some.
// Two importers share a repository.
func (w *world) importAndDelete(n, rounds int, kept map[string][]byte) {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	repository := fmt.Sprintf("vi/team/image-%d", n%2)
	var bases []string
	for round := range rounds {
		raw := noise(1+random.Uint64N(4), 1+random.Uint64N(4), 100*uint64(n)+random.Uint64N(3))
		tag := fmt.Sprintf("uid-%d-%d", n, round)
		ref := repository + ":" + tag
		w.hold(ref, true)
		err := w.push(repository, tag, raw, bases...)
		for attempt := 0; err != nil && attempt < 100; attempt++ {
			err = w.push(repository, tag, raw, bases...)
		}
		if err != nil {
			w.t.Errorf("import %s: %v", ref, err)
			return
		}
		w.pass(9 * time.Hour)
		select {
		case w.turn <- struct{}{}:
		default:
		}
		kept[tag], bases = raw, append(bases, tag)
		if random.IntN(3) == 0 {
			w.hold(ref, false)
			delete(kept, tag)
		}
	}
}

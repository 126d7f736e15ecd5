package volume

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/local/node/qemu"
)

// shelf is a registry with one image. It fails its first restores as told.
type shelf struct {
	digest   string
	size     int64
	failures []error
	restores int
}

func (s *shelf) Inspect(context.Context, Reference) (Image, error) {
	return Image{Digest: s.digest, Size: s.size}, nil
}

func (s *shelf) Restore(_ context.Context, _ Reference, into *os.File, progress func(done, total int64)) error {
	s.restores++
	progress(s.size/2, s.size)
	if len(s.failures) > 0 {
		err := s.failures[0]
		s.failures = s.failures[1:]
		_, _ = into.WriteString("half")
		return err
	}
	return into.Truncate(s.size)
}

type fixture struct {
	shelf *shelf
	bases *Bases
	store *Store
	dir   string
}

func newFixture(t *testing.T, failures ...error) *fixture {
	t.Helper()
	if _, err := exec.LookPath(qemu.ImageTool); err != nil {
		t.Fatalf("%v: run apt-get install qemu-utils", err)
	}
	f := &fixture{shelf: &shelf{digest: "sha256:aa", size: 4096, failures: failures}, dir: t.TempDir()}
	f.open(t)
	return f
}

func (f *fixture) open(t *testing.T) {
	t.Helper()
	var err error
	if f.bases, err = OpenBases(filepath.Join(f.dir, "images"), f.shelf); err != nil {
		t.Fatal(err)
	}
	f.store, err = Open(filepath.Join(f.dir, "volumes"), f.bases, func() time.Time { return time.Unix(1000, 0) })
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) create(id string, size int64) error {
	return f.store.Create(context.Background(), Record{ID: id, Owner: "shop/" + id, Size: size}, &Reference{Host: "h", Repository: "r", Tag: "t"}, func(int64, int64) {})
}

func (f *fixture) files(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"images/*", "volumes/*/*"} {
		found, err := filepath.Glob(filepath.Join(f.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, _ := filepath.Rel(f.dir, path)
			out = append(out, name)
		}
	}
	return out
}

func TestVolumesShareOneBaseThatGoesWithTheLast(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"a", "b"} {
		if err := f.create(id, 8192); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"images/sha256-aa.raw", "volumes/a/disk.qcow2", "volumes/a/volume.json", "volumes/b/disk.qcow2", "volumes/b/volume.json"}
	if diff := cmp.Diff(want, f.files(t)); diff != "" || f.shelf.restores != 1 {
		t.Fatalf("%d restores, files (-want +got):\n%s", f.shelf.restores, diff)
	}
	for _, step := range []struct {
		remove string
		left   int
	}{{"a", 1}, {"b", 0}} {
		if err := f.store.Delete(step.remove); err != nil {
			t.Fatal(err)
		}
		if err := f.bases.Collect(f.store.UsedBases); err != nil {
			t.Fatal(err)
		}
		if bases, _ := filepath.Glob(filepath.Join(f.dir, "images/*")); len(bases) != step.left {
			t.Errorf("after %s: bases %v, want %d", step.remove, bases, step.left)
		}
	}
}

func TestTheTreeCanBeMoved(t *testing.T) {
	f := newFixture(t)
	if err := f.create("a", 8192); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(f.dir, moved); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(qemu.ImageTool, "check", filepath.Join(moved, "volumes/a/disk.qcow2")).CombinedOutput()
	if err != nil {
		t.Errorf("the moved disk does not open: %s", out)
	}
}

func TestAFullDiskIsToldAndLeavesNothingBehind(t *testing.T) {
	f := newFixture(t, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	if err := f.create("a", 8192); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("error %v, want ErrNoSpace", err)
	}
	if left := f.files(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := f.create("a", 8192); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

func TestAKilledRestoreBeginsAnew(t *testing.T) {
	f := newFixture(t)
	for path, content := range map[string]string{
		"images/sha256-aa.raw.partial": "half", "volumes/a/disk.qcow2": "half", "volumes/b/volume.json.partial": "half",
	} {
		path = filepath.Join(f.dir, path)
		_ = os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.open(t)
	if left := f.files(t); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
	if err := f.create("a", 8192); err != nil {
		t.Error(err)
	}
}

func TestACompleteVolumeSurvivesAReopen(t *testing.T) {
	f := newFixture(t)
	if err := f.create("a", 8192); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	got, err := f.store.Get("a")
	want := Record{ID: "a", Owner: "shop/a", Size: 8192, Base: "sha256:aa", Source: "h/r:t", Created: time.Unix(1000, 0).UTC()}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, record (-want +got):\n%s", err, diff)
	}
	if err := f.create("a", 8192); err != nil || f.shelf.restores != 1 {
		t.Errorf("%v, %d restores; want nothing done", err, f.shelf.restores)
	}
}

func TestAVolumeSmallerThanItsImageIsRefused(t *testing.T) {
	f := newFixture(t)
	if err := f.create("a", 2048); !errors.Is(err, ErrTooSmall) {
		t.Errorf("error %v, want ErrTooSmall", err)
	}
}

// TestCollectSparesWhatIsBeingMade: a collection in the middle of a restore, when no volume names the base yet.
func TestCollectSparesWhatIsBeingMade(t *testing.T) {
	f := newFixture(t)
	if err := f.create("a", 8192); err != nil {
		t.Fatal(err)
	}
	base, release, err := f.bases.Acquire(context.Background(), Reference{}, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	nothing := func() (map[string]bool, error) { return map[string]bool{}, nil }
	if err := f.bases.Collect(nothing); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(base.File); err != nil {
		t.Errorf("a pinned base was removed: %v", err)
	}
	release()
	release() // once is enough, twice is harmless
	if err := f.bases.Collect(nothing); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(base.File); err == nil {
		t.Error("a base that nothing needs was kept")
	}
}

func TestGrowOnlyGrows(t *testing.T) {
	f := newFixture(t)
	if err := f.create("a", 8192); err != nil {
		t.Fatal(err)
	}
	var asked []int64
	grow := func(_ context.Context, _ string, size int64) error { asked = append(asked, size); return nil }
	for _, size := range []int64{4096, 8192, 16384, 16384} {
		if err := f.store.Grow(context.Background(), "a", size, grow); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int64{16384}, asked); diff != "" {
		t.Errorf("asked to grow (-want +got):\n%s", diff)
	}
	if err := f.store.Grow(context.Background(), "b", 1, grow); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
}

func TestParseReference(t *testing.T) {
	tests := map[string]struct {
		want Reference
		bad  bool
	}{
		"docker://127.0.0.1:5000/vi/shop/web:1-2": {want: Reference{Host: "127.0.0.1:5000", Repository: "vi/shop/web", Tag: "1-2"}},
		"dvcr.local/cvi/web:v1":                   {want: Reference{Host: "dvcr.local", Repository: "cvi/web", Tag: "v1"}},
		"dvcr.local/cvi/web@sha256:ab":            {want: Reference{Host: "dvcr.local", Repository: "cvi/web", Tag: "sha256:ab"}},
		"dvcr.local/cvi/web":                      {bad: true},
		"dvcr.local:5000":                         {bad: true},
		"docker://":                               {bad: true},
		"":                                        {bad: true},
	}
	for text, tc := range tests {
		got, err := ParseReference(text)
		if (err != nil) != tc.bad || errors.Is(err, ErrReference) != tc.bad {
			t.Errorf("%q: error %v, want one: %v", text, err, tc.bad)
		}
		if diff := cmp.Diff(tc.want, got); !tc.bad && diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

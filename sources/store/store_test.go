package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"slipway.dev/slipway/sources/tree"
)

func newStore(t *testing.T, options ...Option) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stored(t *testing.T, s *Store, files fs.FS) string {
	t.Helper()
	digest, err := s.Put(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

var sample = fstest.MapFS{
	"kustomization.yaml": {Data: []byte("resources: [vm.yaml]\n")},
	"vm.yaml":            {Data: []byte("kind: VirtualMachine\n")},
	"bin/build.sh":       {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
	"copy/vm.yaml":       {Data: []byte("kind: VirtualMachine\n")},
	"empty":              {},
}

func TestPutThenTreeReturnsTheSameFiles(t *testing.T) {
	s := newStore(t)
	got, err := s.Tree(stored(t, s, sample))
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(got, "kustomization.yaml", "bin/build.sh", "copy/vm.yaml", "empty"); err != nil {
		t.Fatal(err)
	}
	for name, file := range sample {
		content, err := fs.ReadFile(got, name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(file.Data), string(content)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDigestNamesContent(t *testing.T) {
	with := func(change func(fstest.MapFS)) fstest.MapFS {
		files := fstest.MapFS{}
		for name, f := range sample {
			file := *f
			files[name] = &file
		}
		change(files)
		return files
	}
	tests := map[string]struct {
		files fs.FS
		same  bool
	}{
		"same":          {with(func(fstest.MapFS) {}), true},
		"newer":         {with(func(m fstest.MapFS) { m["vm.yaml"].ModTime = time.Unix(1, 0) }), true},
		"wider mode":    {with(func(m fstest.MapFS) { m["vm.yaml"].Mode = 0o666 }), true},
		"content":       {with(func(m fstest.MapFS) { m["vm.yaml"].Data = []byte("kind: VirtualDisk\n") }), false},
		"executable":    {with(func(m fstest.MapFS) { m["vm.yaml"].Mode = 0o755 }), false},
		"renamed":       {with(func(m fstest.MapFS) { m["web.yaml"] = m["vm.yaml"]; delete(m, "vm.yaml") }), false},
		"file more":     {with(func(m fstest.MapFS) { m["more"] = &fstest.MapFile{} }), false},
		"file fewer":    {with(func(m fstest.MapFS) { delete(m, "empty") }), false},
		"link for file": {with(func(m fstest.MapFS) { m["empty"].Mode = fs.ModeSymlink }), false},
	}
	s := newStore(t)
	want := stored(t, s, sample)
	if !strings.HasPrefix(want, "sha256:") {
		t.Fatalf("digest is %q", want)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := stored(t, s, test.files); (got == want) != test.same {
				t.Errorf("digest %s, original %s, want same: %v", got, want, test.same)
			}
		})
	}
}

func TestPutRefuses(t *testing.T) {
	limits := WithLimits(Limits{Files: 2, FileBytes: 10, Bytes: 15})
	tests := map[string]struct {
		files fstest.MapFS
		names string
	}{
		"too many files": {fstest.MapFS{"a": {}, "b": {}, "c": {}}, "2 files"},
		"large file":     {fstest.MapFS{"disk.img": {Data: make([]byte, 11)}}, "disk.img"},
		"large tree":     {fstest.MapFS{"a": {Data: make([]byte, 8)}, "b": {Data: make([]byte, 8)}}, "15 bytes"},
		"device":         {fstest.MapFS{"null": {Mode: fs.ModeDevice}}, "null"},
		"control":        {fstest.MapFS{"a\tb": {}}, `a\tb`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newStore(t, limits).Put(t.Context(), test.files)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.names) {
				t.Fatalf("Put() = %v, want ErrRefused that names %s", err, test.names)
			}
		})
	}
}

func TestSymlinkFailsOnlyWhenItIsUsed(t *testing.T) {
	s := newStore(t)
	got, err := s.Tree(stored(t, s, fstest.MapFS{"vm.yaml": {}, "docs/link": {Mode: fs.ModeSymlink, Data: []byte("/etc/passwd")}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(got, "vm.yaml"); err != nil {
		t.Error(err)
	}
	if _, err := fs.ReadFile(got, "docs/link"); !errors.Is(err, tree.ErrSymlink) {
		t.Errorf("ReadFile(link) = %v, want ErrSymlink", err)
	}
}

func TestDamageIsFoundAndHealed(t *testing.T) {
	s := newStore(t)
	digest := stored(t, s, sample)
	blob := s.blob(sum(sample["vm.yaml"].Data))
	if err := errors.Join(os.Chmod(blob, 0o600), os.WriteFile(blob, []byte("kind: VirtualMachinE\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Tree(digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(got, "vm.yaml"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("ReadFile() = %v, want ErrNotFound", err)
	}
	if _, err := s.Tree(digest); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Tree() = %v of a tree with a file that is lost, want ErrNotFound", err)
	}
	stored(t, s, sample)
	if _, err := fs.ReadFile(got, "vm.yaml"); err != nil {
		t.Fatalf("after Put: %v", err)
	}
}

func TestTreeOfUnknownDigest(t *testing.T) {
	for _, digest := range []string{"", "sha256:", "sha256:" + strings.Repeat("0", 64), "../../etc/passwd", "sha256:../" + strings.Repeat("0", 61)} {
		if _, err := newStore(t).Tree(digest); !errors.Is(err, ErrNotFound) {
			t.Errorf("Tree(%q) = %v, want ErrNotFound", digest, err)
		}
	}
}

func TestKeep(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	s := newStore(t, WithClock(clock))
	old := stored(t, s, fstest.MapFS{"a": {Data: []byte("old")}, "shared": {Data: []byte("shared")}})
	kept := stored(t, s, fstest.MapFS{"a": {Data: []byte("kept")}, "shared": {Data: []byte("shared")}})
	clock.SetTime(time.Unix(0, 0).Add(Grace))
	fresh := stored(t, s, fstest.MapFS{"a": {Data: []byte("fresh")}})

	removed, err := s.Keep(kept)
	if err != nil || removed != 1 {
		t.Fatalf("Keep() = %d, %v; want 1 tree removed", removed, err)
	}
	if _, err := s.Tree(old); !errors.Is(err, ErrNotFound) {
		t.Errorf("Tree(old) = %v, want ErrNotFound", err)
	}
	if _, err := os.Stat(s.blob(sum([]byte("old")))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("file of the old tree: %v, want it gone", err)
	}
	for _, digest := range []string{kept, fresh} {
		got, err := s.Tree(digest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fs.ReadFile(got, "a"); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenFindsWhatAnEarlierProcessStored(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	digest := stored(t, first, sample)
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Tree(digest); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := newStore(t)
	kept := stored(t, s, sample)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				files := fstest.MapFS{"same": {Data: []byte("same")}, "own": {Data: fmt.Appendf(nil, "%d/%d", i, j%3)}}
				digest, err := s.Put(t.Context(), files)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := s.Tree(digest)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := fs.ReadFile(got, "own"); err != nil {
					t.Error(err)
				}
				if _, err := s.Keep(kept); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

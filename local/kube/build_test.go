package kube

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checkout lays out a control plane's source whose build script counts its
// runs and does as told.
func checkout(t *testing.T, script string) (source, runs string) {
	t.Helper()
	root := t.TempDir()
	source, runs = filepath.Join(root, moduleDir), filepath.Join(root, "runs")
	if err := os.MkdirAll(source, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "echo run >>" + runs + "\n" + script
	files := map[string]string{"go.mod": "module " + modulePath + "\n", buildScript: text}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return source, runs
}

func quiet() Options { return Options{Log: io.Discard, Progress: func(string) {}} }

func TestBuildOnceBuildsOnce(t *testing.T) {
	source, runs := checkout(t, `sleep 0.1; echo program >"$1"`)
	target := filepath.Join(t.TempDir(), "key", programName)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := buildOnce(t.Context(), quiet(), source, target); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	text, err := os.ReadFile(runs)
	if err != nil || string(text) != "run\n" {
		t.Errorf("builds: %q, %v; want one", text, err)
	}
}

func TestFailedBuildSaysWhyAndLeavesNoProgram(t *testing.T) {
	source, _ := checkout(t, `echo half >"$1"; echo k8s.io/api/core/v1 >&2; echo "main.go:1:1: undefined: x" >&2; exit 1`)
	target := filepath.Join(t.TempDir(), "key", programName)
	err := buildOnce(t.Context(), quiet(), source, target)
	if err == nil || !regexp.MustCompile(`undefined: x$`).MatchString(err.Error()) || regexp.MustCompile("core/v1").MatchString(err.Error()) {
		t.Errorf("error %v, want the compiler's message alone", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("program after a failed build: %v, want none", err)
	}
}

func TestPruneKeepsWhatIsUsed(t *testing.T) {
	cache, now := t.TempDir(), time.Now()
	for name, age := range map[string]time.Duration{"used": 2 * keepUnused, "recent": keepUnused / 2, "forgotten": 2 * keepUnused} {
		dir := filepath.Join(cache, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(cache, "used", now); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(cache, "recent"), filepath.Join(cache, "used")}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("left in the cache (-want +got):\n%s", diff)
	}
}

func TestSourceAbove(t *testing.T) {
	source, _ := checkout(t, "")
	root := filepath.Dir(filepath.Dir(source))
	deep := filepath.Join(root, "test", "suite")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]string{"from the top": root, "from below": deep} {
		if got, ok := sourceAbove(start); !ok || got != source {
			t.Errorf("%s: %s, %t; want %s", name, got, ok, source)
		}
	}
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example.com/other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := sourceAbove(deep); ok {
		t.Errorf("took another module in %s", got)
	}
}

func TestSourceKey(t *testing.T) {
	base := fstest.MapFS{
		"go.mod":        {Data: []byte("module x")},
		"go.sum":        {Data: []byte("sums")},
		buildScript:     {Data: []byte("flags")},
		"run.go":        {Data: []byte("package x")},
		"run_test.go":   {Data: []byte("package x")},
		"pki/pki.go":    {Data: []byte("package pki")},
		"README.md":     {Data: []byte("hello")},
		"testdata/a.md": {Data: []byte("hello")},
	}
	cases := map[string]struct {
		change   map[string]string
		compiler string
		same     bool
	}{
		"nothing":            {same: true},
		"a test":             {change: map[string]string{"run_test.go": "package y"}, same: true},
		"a text":             {change: map[string]string{"README.md": "bye"}, same: true},
		"the source":         {change: map[string]string{"pki/pki.go": "package pki // changed"}},
		"the modules":        {change: map[string]string{"go.mod": "module y"}},
		"the sums":           {change: map[string]string{"go.sum": "other"}},
		"the flags":          {change: map[string]string{buildScript: "others"}},
		"a new file":         {change: map[string]string{"new.go": ""}},
		"the compiler":       {compiler: "go9"},
		"text between two":   {change: map[string]string{"go.mod": "module", "go.sum": " xsums"}},
		"the name of a file": {change: map[string]string{"pki/other.go": "package pki"}},
	}
	key := func(source fstest.MapFS, compiler string) string {
		got, err := sourceKey(source, compiler)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := key(base, "go1")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			changed := maps.Clone(base)
			for path, text := range tc.change {
				changed[path] = &fstest.MapFile{Data: []byte(text)}
			}
			got := key(changed, firstOf(tc.compiler, "go1"))
			if (got == want) != tc.same {
				t.Errorf("key %s, before %s, want same %t", got, want, tc.same)
			}
		})
	}
}

func TestBuildCounter(t *testing.T) {
	var told []string
	now := time.Unix(0, 0)
	counter := newBuildCounter(3, func(step string) { told = append(told, step) })
	counter.now = func() time.Time { return now }
	for _, part := range []string{"k8s.io/a\nk8s", ".io/b\n", "# k8s.io/c\nc.go:1:1: wrong\n"} {
		now = now.Add(reportEvery / 2)
		if _, err := counter.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(reportEvery)
	if _, err := counter.Write([]byte("k8s.io/c\nk8s.io/d\n")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(reportEvery)
	if _, err := counter.Write([]byte("k8s.io/e\n")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"compile slipway-controlplane: 1 of 3 packages",
		"compile slipway-controlplane: 3 of 3 packages",
		"compile slipway-controlplane: 5 packages",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestLockBuildGivesUpWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockBuild(t.Context(), path, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := ""
	_, err = lockBuild(ctx, path, func(step string) {
		told = step
		cancel()
	})
	if err == nil || told == "" {
		t.Errorf("second lock: %v, told %q; want an error after telling that it waits", err, told)
	}
	unlock()
	if unlock, err = lockBuild(t.Context(), path, func(string) {}); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// The version that this package asks for must be the one that is built.
func TestVersionIsTheOnePinned(t *testing.T) {
	text, err := os.ReadFile("../controlplane/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`(?m)^\tk8s\.io/kubernetes (\S+)$`).FindSubmatch(text)
	if pinned == nil || string(pinned[1]) != KubernetesVersion {
		t.Errorf("go.mod pins %q, want %s", pinned, KubernetesVersion)
	}
	source, err := os.ReadFile("../controlplane/version.go")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^const Interface = 1$`).Match(source) || wantedInterface != 1 {
		t.Errorf("controlplane's interface is not the one wanted here (%d)", wantedInterface)
	}
}

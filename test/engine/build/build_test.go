package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestKey(t *testing.T) {
	base := ingredients{goVersion: "go1.26 linux", flags: []string{"-trimpath"}, files: []file{{"go.mod", "a"}, {"main.go", "b"}}}
	cases := map[string]struct {
		change func(i *ingredients)
		same   bool
	}{
		"nothing":                              {func(*ingredients) {}, true},
		"Go's version":                         {func(i *ingredients) { i.goVersion = "go1.27 linux" }, false},
		"a flag":                               {func(i *ingredients) { i.flags = []string{"-trimpath", "-race"} }, false},
		"a file":                               {func(i *ingredients) { i.files = []file{{"go.mod", "a"}, {"main.go", "c"}} }, false},
		"a place":                              {func(i *ingredients) { i.files = []file{{"go.mod", "a"}, {"other.go", "b"}} }, false},
		"flags that read the same when joined": {func(i *ingredients) { i.flags = []string{"-trim", "path"} }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			changed := base
			tc.change(&changed)
			if same := changed.key() == base.key(); same != tc.same {
				t.Errorf("same key: %t, want %t", same, tc.same)
			}
		})
	}
}

// lay writes a module with files.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, tree := t.TempDir(), fstest.MapFS{}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
	}
	if err := os.CopyFS(dir, tree); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSources(t *testing.T) {
	dir := lay(t, map[string]string{
		"go.mod": "module x", "go.sum": "", "main.go": "a", "embedded/a.conf": "b", "main_test.go": "c", "README.md": "d",
		".git/config": "e", "testdata/x.go": "f", "nested/go.mod": "module y", "nested/y.go": "g",
	})
	cases := map[string]struct {
		module  Module
		command Command
		want    []string
	}{
		"a command of the module itself": {
			Module{Dir: dir},
			Command{Package: "./cmd"},
			[]string{"embedded/a.conf", "go.mod", "go.sum", "main.go"},
		},
		"a command of a module that it requires": {
			Module{Dir: dir},
			Command{Package: "k8s.io/kubernetes/cmd/kubelet"},
			[]string{"go.mod", "go.sum"},
		},
		"with a replacement": {
			Module{Dir: dir, Sources: []string{filepath.Join(dir, "nested")}},
			Command{Package: "k8s.io/x"},
			[]string{"go.mod", "go.sum", "nested/go.mod", "nested/y.go"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := sources(tc.module, tc.command)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, f.path)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvironmentIsNotTheCallers(t *testing.T) {
	got := environment([]string{"GOFLAGS=-race", "HOME=/h", "CGO_ENABLED=1"}, false)
	// The last of a name counts.
	values := map[string]string{}
	for _, entry := range got {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	want := map[string]string{"GOFLAGS": "", "HOME": "/h", "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Error(diff)
	}
}

func TestBuildOnceAndAgainWhenSomethingChanged(t *testing.T) {
	dir := lay(t, map[string]string{"go.mod": "module example.test/x\n\ngo 1.26\n", "go.sum": "", "main.go": "package main\n\nfunc main() {}\n"})
	module := Module{Name: "x", Dir: dir, Commands: []Command{{Name: "tool", Package: "."}}}
	var steps []bool
	cache := NewCache(t.TempDir(), func(s Step) { steps = append(steps, s.Cached) })
	build := func() string {
		t.Helper()
		binaries, err := cache.Build(context.Background(), module)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(binaries["tool"]); err != nil {
			t.Fatal(err)
		}
		return binaries["tool"]
	}
	first, second := build(), build()
	if first != second {
		t.Errorf("the same build is at %s and %s", first, second)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if build() == first {
		t.Error("a changed source is not built anew")
	}
	if diff := cmp.Diff([]bool{false, true, false}, steps); diff != "" {
		t.Error(diff)
	}
}

func TestBuildThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	dir := lay(t, map[string]string{"go.mod": "module example.test/x\n\ngo 1.26\n", "go.sum": "", "main.go": "package main\n\nfunc main() { undefined() }\n"})
	out := t.TempDir()
	_, err := NewCache(out, nil).Build(context.Background(), Module{Name: "x", Dir: dir, Commands: []Command{{Name: "tool", Package: "."}}})
	if err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Fatalf("got %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(out, "*", "tool*")); len(found) > 0 {
		t.Errorf("left %v", found)
	}
}

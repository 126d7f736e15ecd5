package image

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/ociarchive"
)

// program writes a binary as a build would have made it.
func program(t *testing.T, content string) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"tool": path}
}

func TestMakeOnceAndAgainWhenSomethingChanged(t *testing.T) {
	recipe := Recipe{
		Name: "tool", Programs: map[string]string{"/usr/bin/tool": "tool"},
		Files:  []ociarchive.Entry{ociarchive.Bytes("etc/tool.conf", []byte("a"), 0o644)},
		Config: ocispec.ImageConfig{Entrypoint: []string{"/usr/bin/tool"}},
	}
	cases := map[string]struct {
		change func(r *Recipe, binaries map[string]string)
		same   bool
	}{
		"nothing":      {func(*Recipe, map[string]string) {}, true},
		"how it runs":  {func(r *Recipe, _ map[string]string) { r.Config.User = "1" }, false},
		"a file":       {func(r *Recipe, _ map[string]string) { r.Files = nil }, false},
		"a capability": {func(r *Recipe, _ map[string]string) { r.Capabilities = map[string][]byte{"/usr/bin/tool": {1}} }, false},
		"the program, at the same path": {func(_ *Recipe, binaries map[string]string) {
			if err := os.WriteFile(binaries["tool"], []byte("program 2"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			binaries := program(t, "program 1")
			var cached []bool
			cache := NewCache(t.TempDir(), func(s Step) { cached = append(cached, s.Cached) })
			first, err := cache.Make(context.Background(), recipe, binaries)
			if err != nil {
				t.Fatal(err)
			}
			changed := recipe
			tc.change(&changed, binaries)
			second, err := cache.Make(context.Background(), changed, binaries)
			if err != nil {
				t.Fatal(err)
			}
			if (first == second) != tc.same {
				t.Errorf("archives %s and %s, want the same: %t", first, second, tc.same)
			}
			if diff := cmp.Diff([]bool{false, tc.same}, cached); diff != "" {
				t.Error(diff)
			}
			if info, err := os.Stat(second); err != nil || info.Size() == 0 {
				t.Errorf("archive: %v", err)
			}
		})
	}
}

func TestProgramThatWasNotBuilt(t *testing.T) {
	recipe := Recipe{Name: "tool", Programs: map[string]string{"/usr/bin/other": "other"}}
	_, err := NewCache(t.TempDir(), nil).Make(context.Background(), recipe, program(t, "x"))
	if err == nil || !strings.Contains(err.Error(), "other was not built") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenDescriptionOfALayerIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	cache := NewCache(dir, nil)
	recipe := Recipe{Name: "tool", Programs: map[string]string{"/tool": "tool"}}
	binaries := program(t, "x")
	if _, err := cache.Make(context.Background(), recipe, binaries); err != nil {
		t.Fatal(err)
	}
	descriptions, err := filepath.Glob(filepath.Join(dir, "layers", "*.json"))
	if err != nil || len(descriptions) != 1 {
		t.Fatalf("descriptions %v, %v", descriptions, err)
	}
	if err := os.WriteFile(descriptions[0], []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Make(context.Background(), recipe, binaries); err == nil || !strings.Contains(err.Error(), "remove "+descriptions[0]) {
		t.Errorf("got %v, want the file to remove", err)
	}
}

func TestRef(t *testing.T) {
	if got := Ref("pause"); got != "localhost/pause:engine" {
		t.Errorf("got %s", got)
	}
}

package cached_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"slipway.dev/slipway/test/engine/cached"
)

func TestPruneLeavesWhatIsUsed(t *testing.T) {
	dir := t.TempDir()
	old, now := time.Unix(1000, 0), time.Unix(2000, 0)
	for _, name := range []string{"bin/a-1/a", "bin/a-2/a", "bin/lock", "images/layers/x.tar", "images/layers/x.tar.json", "root-1/root/etc/passwd"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("1234"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := cached.Use(old, path); err != nil {
			t.Fatal(err)
		}
	}
	if err := cached.Use(now, filepath.Join(dir, "bin/a-2/a")); err != nil {
		t.Fatal(err)
	}
	freed, err := cached.Prune(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	if freed != 16 {
		t.Errorf("%d bytes freed, want 16", freed)
	}
	var left []string
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if relative, _ := filepath.Rel(dir, path); relative != "." {
			left = append(left, relative)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"bin", "bin/a-2", "bin/a-2/a", "bin/lock"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

func TestPruneOfNothing(t *testing.T) {
	if freed, err := cached.Prune(filepath.Join(t.TempDir(), "none"), time.Unix(1, 0)); freed != 0 || err != nil {
		t.Errorf("%d bytes, error %v", freed, err)
	}
}

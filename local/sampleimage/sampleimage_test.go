package sampleimage

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheBuildNamesTheMissingPackages(t *testing.T) {
	var log strings.Builder
	t.Setenv("PATH", toolbox(t, "dirname", "bash"))
	t.Setenv("SLIPWAY_CACHE", t.TempDir())

	err := Build(context.Background(), filepath.Join(t.TempDir(), "sample.qcow2"), &log)

	if err == nil {
		t.Fatal("a build without its tools succeeded")
	}
	for _, want := range []string{"apt-get install -y --no-install-recommends", "mtools"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not contain %q", err, want)
		}
	}
}

// toolbox is a directory with nothing but links to the named programs.
func toolbox(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		for _, from := range []string{"/usr/bin/", "/bin/"} {
			if _, err := os.Stat(from + name); err == nil {
				_ = os.Symlink(from+name, filepath.Join(dir, name))
			}
		}
	}
	return dir
}

func TestDigestFollowsNamesAndContents(t *testing.T) {
	base := fstest.MapFS{"a": {Data: []byte("1")}, "b": {Data: []byte("2")}}
	tests := map[string]struct {
		files fs.FS
		same  bool
	}{
		"equal tree":      {files: fstest.MapFS{"a": {Data: []byte("1")}, "b": {Data: []byte("2")}}, same: true},
		"changed content": {files: fstest.MapFS{"a": {Data: []byte("1")}, "b": {Data: []byte("3")}}},
		"renamed file":    {files: fstest.MapFS{"a": {Data: []byte("1")}, "c": {Data: []byte("2")}}},
		"moved boundary":  {files: fstest.MapFS{"a": {Data: []byte("1b")}, "b": {Data: []byte("")}}},
	}
	want, err := digest(base)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := digest(tc.files)
			if err != nil {
				t.Fatal(err)
			}
			if (got == want) != tc.same {
				t.Errorf("same digest: %v, want %v", got == want, tc.same)
			}
		})
	}
}

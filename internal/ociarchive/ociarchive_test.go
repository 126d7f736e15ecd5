package ociarchive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// list reads an archive: names with what matters of each, and contents.
func list(t *testing.T, r io.Reader) (names []string, contents map[string][]byte) {
	t.Helper()
	contents = map[string][]byte{}
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 || h.Uname != "" {
			t.Errorf("%s: time %v, owner %q: the archive depends on the machine", h.Name, h.ModTime, h.Uname)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		line := h.FileInfo().Mode().String() + " " + h.Name
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		names, contents[h.Name] = append(names, line), content
	}
}

func TestLayerIsOrderedAndComplete(t *testing.T) {
	cases := map[string]struct {
		entries []Entry
		want    []string
	}{
		"parents are added": {
			entries: []Entry{Bytes("/usr/bin/a", []byte("x"), 0o755)},
			want:    []string{"drwxr-xr-x usr/", "drwxr-xr-x usr/bin/", "-rwxr-xr-x usr/bin/a"},
		},
		"sorted, and the later of two counts": {
			entries: []Entry{Bytes("b", nil, 0o600), Symlink("a", "b"), Bytes("b", nil, 0o644)},
			want:    []string{"Lrwxrwxrwx a -> b", "-rw-r--r-- b"},
		},
		"a directory keeps its permissions": {
			entries: []Entry{Directory("tmp", fs.ModeSticky|0o777, 0, 0), Bytes("tmp/x", nil, 0o644)},
			want:    []string{"dtrwxrwxrwx tmp/", "-rw-r--r-- tmp/x"},
		},
		"names do not leave the image": {
			entries: []Entry{Bytes("../../etc/passwd", nil, 0o644)},
			want:    []string{"drwxr-xr-x etc/", "-rw-r--r-- etc/passwd"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			layer, err := WriteLayer(filepath.Join(t.TempDir(), "layer.tar"), tc.entries)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(layer.Path)
			if err != nil {
				t.Fatal(err)
			}
			if digest.FromBytes(content) != layer.Digest || int64(len(content)) != layer.Size {
				t.Error("the layer is not described as it is")
			}
			got, _ := list(t, bytes.NewReader(content))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTreeKeepsWhatMatters(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"bin/tool": "#!", "var/log/dpkg.log": "today", "etc/issue": "Debian"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "bin/tool"), 0o755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("bin", filepath.Join(dir, "sbin")); err != nil {
		t.Fatal(err)
	}
	entries, err := Tree(dir, func(name string) bool { return name == "var/log" })
	if err != nil {
		t.Fatal(err)
	}
	layer, err := WriteLayer(filepath.Join(t.TempDir(), "layer.tar"), entries)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(layer.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, contents := list(t, f)
	want := []string{"drwxr-xr-x bin/", "urwxr-xr-x bin/tool", "drwxr-xr-x etc/", "-rw-r--r-- etc/issue", "Lrwxrwxrwx sbin -> bin", "drwxr-xr-x var/"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if string(contents["etc/issue"]) != "Debian" {
		t.Errorf("content %q", contents["etc/issue"])
	}
}

func TestCapabilityIsInTheHeader(t *testing.T) {
	h := Entry{Name: "a", Capability: []byte("\x01\x00\x00\x02")}.header()
	want := map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
	if diff := cmp.Diff(want, h.PAXRecords); diff != "" {
		t.Error(diff)
	}
}

func TestImageIsALayout(t *testing.T) {
	layer, err := WriteLayer(filepath.Join(t.TempDir(), "layer.tar"), []Entry{Bytes("pause", []byte("program"), 0o755)})
	if err != nil {
		t.Fatal(err)
	}
	image := Image{
		Ref: "localhost/pause:engine", Layers: []Layer{layer}, Architecture: "amd64",
		Config: ocispec.ImageConfig{Entrypoint: []string{"/pause"}, User: "65534"},
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := image.Write(w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same image was written in two ways")
	}
	_, files := list(t, &first)
	var index ocispec.Index
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Annotations[containerdName] != image.Ref {
		t.Fatalf("index %s does not name the image", files["index.json"])
	}
	blob := func(d digest.Digest) []byte { return files[blobPath(d)] }
	var manifest ocispec.Manifest
	if err := json.Unmarshal(blob(index.Manifests[0].Digest), &manifest); err != nil {
		t.Fatal(err)
	}
	var config ocispec.Image
	if err := json.Unmarshal(blob(manifest.Config.Digest), &config); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(image.Config, config.Config); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]digest.Digest{digest.FromBytes(blob(manifest.Layers[0].Digest))}, config.RootFS.DiffIDs); diff != "" {
		t.Error(diff)
	}
}

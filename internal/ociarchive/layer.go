package ociarchive

import (
	"archive/tar"
	"bufio"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Layer is a layer in a file, an uncompressed tar archive.
type Layer struct {
	// Path of the file.
	Path string `json:"path"`
	// Digest of the file, which is the layer's diff ID too.
	Digest digest.Digest `json:"digest"`
	// Size of the file.
	Size int64 `json:"size"`
}

// WriteLayer writes entries to a file, sorted. Directories that are missing on
// the way to an entry are added; of two entries with one name the later counts.
func WriteLayer(file string, entries []Entry) (Layer, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return Layer{}, fmt.Errorf("write layer: %w", err)
	}
	unfinished := file + ".part"
	layer, err := writeLayer(unfinished, entries)
	if err != nil {
		_ = os.Remove(unfinished)
		return Layer{}, fmt.Errorf("write layer %s: %w", file, err)
	}
	if err := os.Rename(unfinished, file); err != nil {
		return Layer{}, fmt.Errorf("write layer: %w", err)
	}
	layer.Path = file
	return layer, nil
}

func writeLayer(file string, entries []Entry) (Layer, error) {
	f, err := os.Create(file)
	if err != nil {
		return Layer{}, fmt.Errorf("begin: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	buffer := bufio.NewWriterSize(f, 1<<20)
	archive := tar.NewWriter(io.MultiWriter(buffer, sum))
	for _, entry := range complete(entries) {
		if err := entry.write(archive); err != nil {
			return Layer{}, err
		}
	}
	if err := errors.Join(archive.Close(), buffer.Flush()); err != nil {
		return Layer{}, fmt.Errorf("end: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return Layer{}, fmt.Errorf("end: %w", err)
	}
	return Layer{Digest: digest.NewDigest(digest.SHA256, sum), Size: info.Size()}, nil
}

func (e Entry) write(archive *tar.Writer) error {
	if err := archive.WriteHeader(e.header()); err != nil {
		return fmt.Errorf("add %s: %w", e.Name, err)
	}
	if e.Open == nil {
		return nil
	}
	content, err := e.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err := io.CopyN(archive, content, e.Size); err != nil {
		return fmt.Errorf("add %s: %w", e.Name, err)
	}
	return nil
}

// complete sorts entries by name and adds the directories above them.
func complete(entries []Entry) []Entry {
	byName := map[string]Entry{}
	for _, entry := range entries {
		byName[entry.clean()] = entry
	}
	for name := range byName {
		for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if _, ok := byName[dir]; !ok {
				byName[dir] = Directory(dir, 0o755, 0, 0)
			}
		}
	}
	delete(byName, "")
	all := make([]Entry, 0, len(byName))
	for _, entry := range byName {
		all = append(all, entry)
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.clean(), b.clean()) })
	return all
}

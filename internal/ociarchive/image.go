package ociarchive

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerdName is where containerd's import looks for an image's full name.
const containerdName = "io.containerd.image.name"

// Image is an image to write.
type Image struct {
	// Ref is the full name that importers give it.
	Ref string
	// Layers from the bottom up.
	Layers []Layer
	// Config says how it is run.
	Config ocispec.ImageConfig
	// Architecture of the programs in it, as Go names it.
	Architecture string
}

// WriteFile writes the image's archive to a file, which is there only when whole.
func (i Image) WriteFile(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	unfinished := file + ".part"
	f, err := os.Create(unfinished)
	if err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	defer f.Close()
	if err := i.Write(f); err != nil {
		_ = os.Remove(unfinished)
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	if err := os.Rename(unfinished, file); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	return nil
}

// Write writes the image as an OCI image layout in a tar archive.
func (i Image) Write(w io.Writer) error {
	blobs, index, err := i.documents()
	if err != nil {
		return fmt.Errorf("write image %s: %w", i.Ref, err)
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return fmt.Errorf("write image %s: %w", i.Ref, err)
	}
	entries := []Entry{
		Bytes(ocispec.ImageLayoutFile, layout, 0o644),
		Bytes(ocispec.ImageIndexFile, index, 0o644),
	}
	for _, blob := range blobs {
		entries = append(entries, Bytes(blobPath(digest.FromBytes(blob)), blob, 0o644))
	}
	for _, layer := range i.Layers {
		entries = append(entries, Entry{
			Name: blobPath(layer.Digest), Mode: 0o644, Size: layer.Size,
			Open: func() (io.ReadCloser, error) { return open(layer.Path) },
		})
	}
	archive := tar.NewWriter(w)
	for _, entry := range complete(entries) {
		if err := entry.write(archive); err != nil {
			return fmt.Errorf("write image %s: %w", i.Ref, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write image %s: %w", i.Ref, err)
	}
	return nil
}

// documents are the configuration and the manifest, and the index over them.
func (i Image) documents() (blobs [][]byte, index []byte, err error) {
	config := ocispec.Image{
		Platform: ocispec.Platform{Architecture: i.Architecture, OS: "linux"},
		Config:   i.Config,
		RootFS:   ocispec.RootFS{Type: "layers"},
	}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range i.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: layer.Digest, Size: layer.Size})
	}
	configText, err := json.Marshal(config)
	if err != nil {
		return nil, nil, fmt.Errorf("encode configuration: %w", err)
	}
	manifest.Config = describe(ocispec.MediaTypeImageConfig, configText)
	manifestText, err := json.Marshal(manifest)
	if err != nil {
		return nil, nil, fmt.Errorf("encode manifest: %w", err)
	}
	described := describe(ocispec.MediaTypeImageManifest, manifestText)
	described.Platform = &config.Platform
	described.Annotations = map[string]string{containerdName: i.Ref, ocispec.AnnotationRefName: tag(i.Ref)}
	index, err = json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{described},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("encode index: %w", err)
	}
	return slices.Concat([][]byte{configText}, [][]byte{manifestText}), index, nil
}

func describe(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// tag is what tools other than containerd's show: the last part of the name.
func tag(ref string) string {
	_, tag, ok := strings.Cut(path.Base(ref), ":")
	if !ok {
		return "latest"
	}
	return tag
}

func blobPath(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"slipway.dev/slipway/sources/archive"
	"slipway.dev/slipway/sources/tree"
)

// Media types of Flux's bundles.
const (
	ConfigMediaType  = "application/vnd.cncf.flux.config.v1+json"
	ContentMediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// Sizes that are taken, in bytes.
const (
	maxManifest = 4 << 20
	maxLayer    = 256 << 20
)

const maxLayers = 1024

// manifestTypes are the manifests that hold layers.
var manifestTypes = []string{ocispec.MediaTypeImageManifest, "application/vnd.docker.distribution.manifest.v2+json"}

// Options choose what is taken from an artifact.
type Options struct {
	// LayerMediaType chooses the first layer of that type; empty takes the first layer.
	LayerMediaType string
	// Copy takes the layer's files as they are, without ignore rules, and a layer that is no archive as one file.
	Copy bool
	// Ignore are lines in the syntax of .gitignore.
	Ignore string
}

// Bundle is a fetched artifact. Close lets go of its temporary file.
type Bundle struct {
	*archive.Tree
	// Metadata are the annotations of the manifest.
	Metadata map[string]string
}

// Manifest reads a manifest by tag or digest. The digest of what came is computed here, and checked when one was asked for.
func (r *Repository) Manifest(ctx context.Context, reference string) ([]byte, ocispec.Descriptor, error) {
	ctx, cancel := r.within(ctx)
	defer cancel()
	raw, desc, err := r.readManifest(ctx, reference)
	return raw, desc, r.remote.fail("read manifest "+reference+" of", err)
}

func (r *Repository) readManifest(ctx context.Context, reference string) ([]byte, ocispec.Descriptor, error) {
	desc, body, err := r.oras.Manifests().FetchReference(ctx, reference)
	if err != nil {
		return nil, desc, fmt.Errorf("fetch manifest: %w", err)
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err != nil {
		return nil, desc, fmt.Errorf("read manifest: %w", err)
	}
	if len(raw) > maxManifest {
		return nil, desc, r.remote.errorf("read", ErrRefused, "the manifest has more than %d bytes", maxManifest)
	}
	got := digest.FromBytes(raw)
	if want := digest.Digest(reference); want.Validate() == nil && got != want {
		return nil, desc, r.remote.errorf("read", ErrRefused, "the registry sent a manifest with digest %s for %s", got, want)
	}
	return raw, ocispec.Descriptor{MediaType: desc.MediaType, Digest: got, Size: int64(len(raw))}, nil
}

// Fetch brings the files of one layer of a revision.
func (r *Repository) Fetch(ctx context.Context, revision Revision, o Options) (*Bundle, error) {
	op := "fetch " + revision.String() + " of"
	ctx, cancel := r.within(ctx)
	defer cancel()
	raw, desc, err := r.readManifest(ctx, revision.Digest)
	if err != nil {
		return nil, r.remote.fail(op, err)
	}
	manifest, err := parseManifest(raw, desc.MediaType)
	if err != nil {
		return nil, r.remote.errorf(op, ErrRefused, "%s", err)
	}
	layer, err := chooseLayer(manifest, o.LayerMediaType)
	if err != nil {
		return nil, r.remote.errorf(op, ErrRefused, "%s", err)
	}
	files, err := r.layer(ctx, layer, o)
	if err != nil {
		return nil, r.remote.fail(op, err)
	}
	return &Bundle{Tree: files, Metadata: metadata(manifest.Annotations)}, nil
}

func parseManifest(raw []byte, mediaType string) (ocispec.Manifest, error) {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return manifest, errors.New("the manifest is not JSON")
	}
	if manifest.MediaType != "" {
		mediaType = manifest.MediaType
	}
	if !slices.Contains(manifestTypes, mediaType) {
		return manifest, fmt.Errorf("it is a %q, not an artifact with layers; push one with slipway bundle push, flux push artifact or oras push", mediaType)
	}
	if len(manifest.Layers) > maxLayers {
		return manifest, fmt.Errorf("the manifest has %d layers, the limit is %d", len(manifest.Layers), maxLayers)
	}
	return manifest, nil
}

func chooseLayer(manifest ocispec.Manifest, mediaType string) (ocispec.Descriptor, error) {
	var have []string
	for _, l := range manifest.Layers {
		if mediaType != "" && l.MediaType != mediaType {
			if !slices.Contains(have, l.MediaType) {
				have = append(have, l.MediaType)
			}
			continue
		}
		switch {
		case l.Digest.Validate() != nil || l.Digest.Algorithm() != digest.SHA256:
			return l, fmt.Errorf("the layer's digest %q is no sha256 digest", l.Digest)
		case l.Size < 0 || l.Size > maxLayer:
			return l, fmt.Errorf("the layer has %d bytes, the limit is %d; disk images belong in a VirtualImage, not in a bundle", l.Size, maxLayer)
		}
		return l, nil
	}
	if mediaType == "" {
		return ocispec.Descriptor{}, errors.New("the artifact has no layer")
	}
	return ocispec.Descriptor{}, fmt.Errorf("no layer is a %q; there are %s", mediaType, strings.Join(have, ", "))
}

// layer downloads a layer, checks its digest, and only then unpacks it.
func (r *Repository) layer(ctx context.Context, desc ocispec.Descriptor, o Options) (*archive.Tree, error) {
	spool, err := os.CreateTemp(r.temp, "layer-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	defer spool.Close() //nolint:errcheck // it has no name any more
	if err := os.Remove(spool.Name()); err != nil {
		return nil, fmt.Errorf("unlink the temporary file: %w", err)
	}
	if err := r.download(ctx, desc, spool); err != nil {
		return nil, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind the temporary file: %w", err)
	}
	options := archive.Options{TempDir: r.temp, Ignore: o.Ignore}
	if o.Copy {
		if !archive.Is(spool) {
			return archive.Single(r.temp, titleOf(desc), spool)
		}
		options.All = true
	}
	if !archive.Is(spool) {
		return nil, r.remote.errorf("unpack", ErrRefused, "the layer %q is no tar archive; set layerSelector.operation to copy to take it as one file", desc.MediaType)
	}
	return archive.Unpack(ctx, spool, options)
}

// download writes a blob that has the digest and the size of its descriptor, or fails.
func (r *Repository) download(ctx context.Context, desc ocispec.Descriptor, out io.Writer) error {
	body, err := r.oras.Blobs().Fetch(ctx, desc)
	if err != nil {
		return fmt.Errorf("fetch layer %s: %w", desc.Digest, err)
	}
	defer body.Close()
	verified := content.NewVerifyReader(body, desc)
	if _, err := io.Copy(out, verified); err != nil {
		return fmt.Errorf("download layer %s: %w", desc.Digest, err)
	}
	if err := verified.Verify(); err != nil {
		return fmt.Errorf("verify layer %s: %w", desc.Digest, err)
	}
	return nil
}

// titleOf is the name of a layer that is one file.
func titleOf(desc ocispec.Descriptor) string {
	title := desc.Annotations[ocispec.AnnotationTitle]
	if tree.CheckPath(title) != nil {
		return "layer"
	}
	return path.Clean(title)
}

// Blob reads a small blob whose digest and size are checked.
func (r *Repository) Blob(ctx context.Context, desc ocispec.Descriptor, most int64) ([]byte, error) {
	op := "read " + desc.Digest.String() + " of"
	if desc.Size < 0 || desc.Size > most {
		return nil, r.remote.errorf(op, ErrRefused, "it has %d bytes, the limit is %d", desc.Size, most)
	}
	ctx, cancel := r.within(ctx)
	defer cancel()
	var out bytes.Buffer
	err := r.download(ctx, desc, &out)
	return out.Bytes(), r.remote.fail(op, err)
}

// Bounds of what goes into a status.
const (
	maxAnnotations = 32
	maxAnnotation  = 512
)

// metadata keeps as many annotations as a status may hold.
func metadata(annotations map[string]string) map[string]string {
	keys := make([]string, 0, len(annotations))
	for k, v := range annotations {
		if len(k) <= maxAnnotation && len(v) <= maxAnnotation {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	out := map[string]string{}
	for _, k := range keys[:min(len(keys), maxAnnotations)] {
		out[k] = annotations[k]
	}
	return out
}

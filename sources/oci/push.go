package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/sources/archive"
)

// Annotations of a bundle's manifest, all optional.
type Annotations struct {
	// Source and Revision say where the files come from.
	Source, Revision string
	// Created is a time in RFC 3339.
	Created string
	// More annotations; the three above win.
	More map[string]string
}

func (a Annotations) all() map[string]string {
	all := maps.Clone(a.More)
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range map[string]string{
		ocispec.AnnotationSource: a.Source, ocispec.AnnotationRevision: a.Revision, ocispec.AnnotationCreated: a.Created,
	} {
		if value != "" {
			all[key] = value
		}
	}
	return all
}

// Packed is a bundle that is ready to be pushed. Close removes its temporary file.
type Packed struct {
	archive.Packed
	// Digest of the manifest: the same for the same files and annotations.
	Digest string

	layer    *os.File
	desc     ocispec.Descriptor
	config   []byte
	manifest []byte
}

// Close implements io.Closer.
func (p *Packed) Close() error { return p.layer.Close() } //nolint:wrapcheck // a file's error names it

// Pack makes a bundle of a tree, in the form that Flux and oras read.
func Pack(ctx context.Context, files fs.FS, ignoreLines string, a Annotations) (*Packed, error) {
	layer, err := os.CreateTemp("", "bundle-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(layer.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink the temporary file: %w", err), layer.Close())
	}
	p := &Packed{layer: layer, config: []byte("{}")}
	if err := p.fill(ctx, files, ignoreLines, a); err != nil {
		return nil, errors.Join(err, layer.Close())
	}
	return p, nil
}

func (p *Packed) fill(ctx context.Context, files fs.FS, ignoreLines string, a Annotations) error {
	sum := digest.SHA256.Digester()
	packed, err := archive.Pack(ctx, io.MultiWriter(p.layer, sum.Hash()), files, ignoreLines)
	if err != nil {
		return err
	}
	if packed.Files == 0 {
		return errors.New("pack a bundle: there is no file in it; look at the ignore rules")
	}
	size, err := p.layer.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("measure the layer: %w", err)
	}
	p.Packed = packed
	p.desc = ocispec.Descriptor{MediaType: ContentMediaType, Digest: sum.Digest(), Size: size}
	manifest := ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      content.NewDescriptorFromBytes(ConfigMediaType, p.config),
		Layers:      []ocispec.Descriptor{p.desc},
		Annotations: a.all(),
	}
	if p.manifest, err = json.Marshal(manifest); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	p.Digest = digest.FromBytes(p.manifest).String()
	return nil
}

// Size of the layer, in bytes.
func (p *Packed) Size() int64 { return p.desc.Size }

// Push uploads a bundle under a tag. What the registry has already is not sent again.
func (r *Repository) Push(ctx context.Context, p *Packed, tag string) error {
	op := "push " + tag + " to"
	if err := r.pushBlob(ctx, content.NewDescriptorFromBytes(ConfigMediaType, p.config), bytes.NewReader(p.config)); err != nil {
		return r.remote.fail(op, err)
	}
	if err := r.pushBlob(ctx, p.desc, io.NewSectionReader(p.layer, 0, p.desc.Size)); err != nil {
		return r.remote.fail(op, err)
	}
	return r.remote.fail(op, r.PushManifest(ctx, ocispec.MediaTypeImageManifest, p.manifest, tag))
}

func (r *Repository) pushBlob(ctx context.Context, desc ocispec.Descriptor, from io.ReadSeeker) error {
	exists, err := r.oras.Blobs().Exists(ctx, desc)
	if err != nil {
		return fmt.Errorf("look for blob %s: %w", desc.Digest, err)
	}
	if exists {
		return nil
	}
	if err := r.oras.Blobs().Push(ctx, desc, from); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return fmt.Errorf("push blob %s: %w", desc.Digest, err)
	}
	return nil
}

// PushBlob uploads a small blob and describes it.
func (r *Repository) PushBlob(ctx context.Context, mediaType string, raw []byte) (ocispec.Descriptor, error) {
	desc := content.NewDescriptorFromBytes(mediaType, raw)
	return desc, r.remote.fail("push to", r.pushBlob(ctx, desc, bytes.NewReader(raw)))
}

// PushManifest uploads a manifest, under a tag unless that is empty. A manifest with a subject is found again as its
// referrer, on registries with and without the referrers API.
func (r *Repository) PushManifest(ctx context.Context, mediaType string, raw []byte, tag string) error {
	desc := content.NewDescriptorFromBytes(mediaType, raw)
	var err error
	if tag == "" {
		err = r.oras.Push(ctx, desc, bytes.NewReader(raw))
	} else {
		err = r.oras.PushReference(ctx, desc, bytes.NewReader(raw), tag)
	}
	var kept *remote.ReferrersError
	switch {
	case err == nil, errors.Is(err, errdef.ErrAlreadyExists):
	case errors.As(err, &kept) && kept.IsReferrersIndexDelete(): // all is pushed; the registry keeps an old index
	default:
		return r.remote.fail("push to", fmt.Errorf("push manifest %s: %w", desc.Digest, err))
	}
	return nil
}

// Tag gives a further tag to what a tag or digest names, and returns its digest.
func (r *Repository) Tag(ctx context.Context, reference, tag string) (string, error) {
	raw, desc, err := r.Manifest(ctx, reference)
	if err != nil {
		return "", err
	}
	return desc.Digest.String(), r.PushManifest(ctx, desc.MediaType, raw, tag)
}

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// mostAttachments of one type are looked at; those made last.
	mostAttachments = 16
	// maxAttachment is how large one may be.
	maxAttachment = 1 << 20
)

// Attachment is a small document that refers to a manifest.
type Attachment struct {
	// Type of the artifact, and of the document in it.
	Type string
	// Text of the document.
	Text []byte
	// Created is a time in RFC 3339. It orders the attachments of a manifest.
	Created string

	desc ocispec.Descriptor
}

// Attached returns the documents of a type that refer to a manifest, the oldest first; none is no error.
func (r *Repository) Attached(ctx context.Context, subject, artifactType string) ([]Attachment, error) {
	_, desc, err := r.Manifest(ctx, subject)
	if err != nil {
		return nil, err
	}
	referrers, err := r.Referrers(ctx, desc, artifactType, maxReferrers)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(referrers, func(a, b ocispec.Descriptor) int {
		return strings.Compare(a.Annotations[ocispec.AnnotationCreated], b.Annotations[ocispec.AnnotationCreated])
	})
	var found []Attachment
	for _, referrer := range referrers[max(0, len(referrers)-mostAttachments):] {
		attached, err := r.attachment(ctx, referrer, artifactType)
		if errors.Is(err, ErrNotFound) {
			continue // replaced by another meanwhile
		}
		if err != nil {
			return nil, err
		}
		found = append(found, attached)
	}
	// Not every registry repeats annotations in its list.
	slices.SortStableFunc(found, func(a, b Attachment) int { return strings.Compare(a.Created, b.Created) })
	return found, nil
}

// maxReferrers is how many referrers of a manifest are listed.
const maxReferrers = 256

func (r *Repository) attachment(ctx context.Context, referrer ocispec.Descriptor, artifactType string) (Attachment, error) {
	raw, desc, err := r.Manifest(ctx, referrer.Digest.String())
	if err != nil {
		return Attachment{}, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil || len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != artifactType || manifest.Layers[0].Size > maxAttachment {
		return Attachment{}, r.remote.errorf("read", ErrRefused, "the referrer %s is no document of type %s", referrer.Digest, artifactType)
	}
	text, err := r.blob(ctx, manifest.Layers[0])
	return Attachment{Type: artifactType, Text: text, Created: manifest.Annotations[ocispec.AnnotationCreated], desc: desc}, err
}

func (r *Repository) blob(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	ctx, cancel := r.within(ctx)
	defer cancel()
	body, err := r.oras.Blobs().Fetch(ctx, desc)
	if err != nil {
		return nil, r.remote.fail("read", fmt.Errorf("fetch blob %s: %w", desc.Digest, err))
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, desc.Size+1))
	if err != nil {
		return nil, r.remote.fail("read", fmt.Errorf("fetch blob %s: %w", desc.Digest, err))
	}
	if digest.FromBytes(text) != desc.Digest {
		return nil, r.remote.errorf("read", ErrRefused, "the registry sent other content than the digest %s says", desc.Digest)
	}
	return text, nil
}

// Attach makes a document refer to a manifest, and removes those that it replaces. A registry that does not delete keeps
// them; the one that was made last counts.
func (r *Repository) Attach(ctx context.Context, subject string, a Attachment, replaced []Attachment) error {
	_, target, err := r.Manifest(ctx, subject)
	if err != nil {
		return err
	}
	layer, err := r.PushBlob(ctx, a.Type, a.Text)
	if err != nil {
		return err
	}
	// The type stands twice, because some registries list that of the config.
	config, err := r.PushBlob(ctx, a.Type, ocispec.DescriptorEmptyJSON.Data)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: a.Type,
		Config:       config,
		Layers:       []ocispec.Descriptor{layer},
		Subject:      &target,
		Annotations:  map[string]string{ocispec.AnnotationCreated: a.Created},
	})
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if err := r.PushManifest(ctx, ocispec.MediaTypeImageManifest, manifest, ""); err != nil {
		return err
	}
	for _, old := range replaced {
		if old.desc.Digest != digest.FromBytes(manifest) {
			r.detach(ctx, old)
		}
	}
	return nil
}

// detach removes an attachment where the registry lets us. What is left does no harm.
func (r *Repository) detach(ctx context.Context, a Attachment) {
	ctx, cancel := r.within(ctx)
	defer cancel()
	_ = r.oras.Delete(ctx, a.desc)
}

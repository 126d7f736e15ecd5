package importer

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/signatures"
)

// checkSignatures fails unless the image is signed by somebody whom each trust of the source names. Nothing of the image but
// its manifest's digest was read before.
func checkSignatures(ctx context.Context, s *RegistrySource, repo *remote.Repository, subject ocispec.Descriptor, policy egress.Policy) error {
	for _, trust := range s.SignedBy {
		v, err := signatures.NewVerifier(trust, policy)
		if err != nil {
			return fmt.Errorf("%w: who must have signed %s cannot be read: %w", ErrInvalidSource, s.Image, err)
		}
		ref := repo.Reference
		_, err = v.Verify(ctx, attached{repo}, ref.Registry+"/"+ref.Repository, subject)
		switch {
		case err == nil:
		case signatures.IsVerdict(err):
			return fmt.Errorf("%w: %s: %w", ErrUnsigned, s.Image, err)
		case signatures.IsPolicy(err):
			return fmt.Errorf("%w: who must have signed %s cannot be read: %w", ErrInvalidSource, s.Image, err)
		default:
			return fmt.Errorf("check the signatures of %s: %w", s.Image, requestError(err))
		}
	}
	return nil
}

// attached reads what is attached to an image.
type attached struct{ repo *remote.Repository }

// Manifest implements signatures.Registry.
func (a attached) Manifest(ctx context.Context, reference string) ([]byte, ocispec.Descriptor, error) {
	desc, err := a.repo.Resolve(ctx, reference)
	if err != nil {
		return nil, desc, fmt.Errorf("look up %s: %w", reference, err)
	}
	raw, err := a.Blob(ctx, desc, maxManifest)
	return raw, desc, err
}

// Blob implements signatures.Registry.
func (a attached) Blob(ctx context.Context, desc ocispec.Descriptor, most int64) ([]byte, error) {
	if desc.Size > most {
		return nil, fmt.Errorf("read %s: %w: it has %d bytes, over %d", desc.Digest, ErrTooLarge, desc.Size, most)
	}
	raw, err := content.FetchAll(ctx, a.repo, desc)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", desc.Digest, err)
	}
	return raw, nil
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// Referrers implements signatures.Registry.
func (a attached) Referrers(ctx context.Context, subject ocispec.Descriptor, artifactType string, most int) ([]ocispec.Descriptor, error) {
	var found []ocispec.Descriptor
	err := a.repo.Referrers(ctx, subject, artifactType, func(page []ocispec.Descriptor) error {
		found = append(found, page[:min(len(page), most-len(found))]...)
		if len(found) == most {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list what refers to %s: %w", subject.Digest, err)
	}
	return found, nil
}

// Missing implements signatures.Registry.
func (a attached) Missing(err error) bool { return errors.Is(err, errdef.ErrNotFound) }

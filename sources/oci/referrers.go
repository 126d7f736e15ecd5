package oci

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// errEnough ends a listing.
var errEnough = errors.New("enough")

// Referrers lists what refers to a manifest, at most so many. Where the registry has no referrers API, the tag schema of
// the distribution specification is read instead.
func (r *Repository) Referrers(ctx context.Context, subject ocispec.Descriptor, artifactType string, most int) ([]ocispec.Descriptor, error) {
	ctx, cancel := r.within(ctx)
	defer cancel()
	var found []ocispec.Descriptor
	err := r.oras.Referrers(ctx, subject, artifactType, func(page []ocispec.Descriptor) error {
		for _, d := range page {
			if len(found) == most {
				return errEnough
			}
			found = append(found, d)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, r.remote.fail("list referrers in", fmt.Errorf("list referrers of %s: %w", subject.Digest, err))
	}
	return found, nil
}

// Missing tells whether an error says that a tag or digest is not there.
func (r *Repository) Missing(err error) bool { return errors.Is(err, ErrNotFound) }

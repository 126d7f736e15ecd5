package notation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// adapter is a registry as notation wants to see it, limited to one artifact.
type adapter struct {
	registry Registry
	subject  ocispec.Descriptor
	// failure of the registry, which is no verdict on signatures.
	failure error
}

// Resolve implements registry.Repository of notation. The subject's digest is known; nothing is asked.
func (a *adapter) Resolve(context.Context, string) (ocispec.Descriptor, error) { return a.subject, nil }

// ListSignatures implements registry.Repository of notation.
func (a *adapter) ListSignatures(ctx context.Context, desc ocispec.Descriptor, fn func([]ocispec.Descriptor) error) error {
	found, err := a.registry.Referrers(ctx, desc, signatureArtifactType, maxSignatures)
	if err != nil {
		a.failure = fmt.Errorf("list signatures: %w", err)
		return a.failure
	}
	return fn(found)
}

// FetchSignatureBlob implements registry.Repository of notation.
func (a *adapter) FetchSignatureBlob(ctx context.Context, desc ocispec.Descriptor) ([]byte, ocispec.Descriptor, error) {
	raw, _, err := a.registry.Manifest(ctx, desc.Digest.String())
	if err != nil {
		a.failure = fmt.Errorf("read signature: %w", err)
		return nil, desc, a.failure
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil || len(manifest.Layers) != 1 {
		return nil, desc, errors.New("the signature's manifest has not one envelope")
	}
	envelope, err := a.registry.Blob(ctx, manifest.Layers[0], maxEnvelope)
	if err != nil {
		a.failure = fmt.Errorf("read signature: %w", err)
		return nil, desc, a.failure
	}
	return envelope, manifest.Layers[0], nil
}

// PushSignature implements registry.Repository of notation, which never calls it to verify.
func (a *adapter) PushSignature(context.Context, string, []byte, ocispec.Descriptor, map[string]string) (blob, manifest ocispec.Descriptor, err error) {
	return blob, manifest, errors.New("push a signature: this registry is for reading only")
}

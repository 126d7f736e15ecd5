package cosign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types and annotations of cosign's.
const (
	SimpleSigningMediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureArtifactType  = "application/vnd.dev.cosign.artifact.sig.v1+json"
	bundleMediaType        = "application/vnd.dev.sigstore.bundle.v0.3+json"

	signatureAnnotation   = "dev.cosignproject.cosign/signature"
	certificateAnnotation = "dev.sigstore.cosign/certificate"
	rekorAnnotation       = "dev.sigstore.cosign/bundle"
	timestampAnnotation   = "dev.sigstore.cosign/rfc3161timestamp"
)

const (
	maxPayload = 1 << 20
	maxBundle  = 4 << 20
)

// signature is one that was found: a sigstore bundle, or a simple signing payload with its annotations.
type signature struct {
	bundle      []byte
	payload     []byte
	signature   []byte
	annotations map[string]string
}

// TagOf is the tag that cosign keeps the signatures of a digest under.
func TagOf(subject ocispec.Descriptor) string {
	return strings.ReplaceAll(subject.Digest.String(), ":", "-") + ".sig"
}

// gather reads the signatures of an artifact, bundles first.
func gather(ctx context.Context, registry Registry, subject ocispec.Descriptor) ([]signature, error) {
	g := &gathering{registry: registry}
	for _, artifactType := range []string{bundleMediaType, signatureArtifactType} {
		referrers, err := registry.Referrers(ctx, subject, artifactType, maxSignatures)
		if err != nil {
			return nil, fmt.Errorf("list signatures: %w", err)
		}
		for _, r := range referrers {
			if err := g.manifest(ctx, r.Digest.String()); err != nil {
				return nil, err
			}
		}
	}
	err := g.manifest(ctx, TagOf(subject))
	if err != nil && !registry.Missing(err) {
		return nil, err
	}
	return g.found, nil
}

type gathering struct {
	registry Registry
	found    []signature
}

func (g *gathering) manifest(ctx context.Context, reference string) error {
	if len(g.found) >= maxSignatures {
		return nil
	}
	raw, _, err := g.registry.Manifest(ctx, reference)
	if err != nil {
		return fmt.Errorf("read signatures: %w", err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil //nolint:nilerr // it is no signature, and others may be
	}
	for _, layer := range manifest.Layers {
		if len(g.found) == maxSignatures {
			return nil
		}
		if err := g.layer(ctx, layer); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) layer(ctx context.Context, layer ocispec.Descriptor) error {
	switch layer.MediaType {
	case bundleMediaType:
		raw, err := g.registry.Blob(ctx, layer, maxBundle)
		if err != nil {
			return fmt.Errorf("read signature: %w", err)
		}
		g.found = append(g.found, signature{bundle: raw})
	case SimpleSigningMediaType:
		sum, err := base64.StdEncoding.DecodeString(layer.Annotations[signatureAnnotation])
		if err != nil || len(sum) == 0 {
			return nil //nolint:nilerr // it is no signature, and others may be
		}
		raw, err := g.registry.Blob(ctx, layer, maxPayload)
		if err != nil {
			return fmt.Errorf("read signature: %w", err)
		}
		g.found = append(g.found, signature{payload: raw, signature: sum, annotations: layer.Annotations})
	}
	return nil
}

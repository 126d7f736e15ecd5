package cosign

import (
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sig "github.com/sigstore/sigstore/pkg/signature"
)

// SignPredicate is the statement that a signature makes. Other statements, such as a list of components, are no consent.
const SignPredicate = "https://sigstore.dev/cosign/sign/v1"

func parseBundle(raw []byte) (*bundle.Bundle, error) {
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	return b, nil
}

func artifactPolicy(subject ocispec.Descriptor) (verify.ArtifactPolicyOption, error) {
	raw, err := hex.DecodeString(subject.Digest.Encoded())
	if err != nil {
		return nil, fmt.Errorf("read digest %s: %w", subject.Digest, err)
	}
	return verify.WithArtifactDigest(subject.Digest.Algorithm().String(), raw), nil
}

func (v *Verifier) bundleByIdentity(raw []byte, subject ocispec.Descriptor) (string, error) {
	b, err := parseBundle(raw)
	if err != nil {
		return "", err
	}
	policy, err := artifactPolicy(subject)
	if err != nil {
		return "", err
	}
	return v.byIdentity(b.Bundle, policy)
}

func (v *Verifier) byIdentity(raw *protobundle.Bundle, artifact verify.ArtifactPolicyOption) (string, error) {
	b, err := bundle.NewBundle(raw)
	if err != nil {
		return "", fmt.Errorf("the bundle cannot be used: %w", err)
	}
	result, err := v.keyless.Verify(b, verify.NewPolicy(artifact, v.identities...))
	if err != nil {
		return "", fmt.Errorf("the bundle is not trusted: %w", err)
	}
	if err := isSignature(result); err != nil {
		return "", err
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return "", errors.New("the bundle has no certificate")
	}
	c := result.Signature.Certificate
	return fmt.Sprintf("%s (%s)", c.SubjectAlternativeName, c.Issuer), nil
}

// isSignature refuses statements that say something else than that the artifact is signed.
func isSignature(result *verify.VerificationResult) error {
	if s := result.Statement; s != nil && s.GetPredicateType() != SignPredicate {
		return fmt.Errorf("the bundle is a statement of type %q, not a signature", s.GetPredicateType())
	}
	return nil
}

func (v *Verifier) bundleByKey(raw []byte, subject ocispec.Descriptor) (string, error) {
	b, err := parseBundle(raw)
	if err != nil {
		return "", err
	}
	for _, key := range v.keys {
		result, err := verifyWithKey(b, key, subject)
		if err == nil {
			return "key " + key.Name, isSignature(result)
		}
	}
	return "", errors.New("it is by no known key, or not for this artifact")
}

func verifyWithKey(b *bundle.Bundle, key Key, subject ocispec.Descriptor) (*verify.VerificationResult, error) {
	loaded, err := sig.LoadVerifier(key.Public, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("use key %s: %w", key.Name, err)
	}
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(loaded, time.Time{}, time.Time{}), nil
	})
	verifier, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, fmt.Errorf("use key %s: %w", key.Name, err)
	}
	policy, err := artifactPolicy(subject)
	if err != nil {
		return nil, err
	}
	result, err := verifier.Verify(b, verify.NewPolicy(policy, verify.WithKey()))
	if err != nil {
		return nil, fmt.Errorf("verify with key %s: %w", key.Name, err)
	}
	return result, nil
}

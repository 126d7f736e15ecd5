package source

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/signatures/cosign"
	"slipway.dev/slipway/internal/signatures/notation"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// trustedRootKey is the key of a Secret that holds the trusted root of keyless signatures.
const trustedRootKey = "trusted_root.json"

// verify checks the signatures of a revision before anything of it is fetched.
func (b *bundles) verify(ctx context.Context, s *bundleScope) flow.Outcome {
	if s.repo.Spec.Verification == nil || s.verified() {
		return flow.Done()
	}
	check, err := b.checkOf(ctx, s)
	if err != nil {
		s.unverified = err
		return flow.Fail(verificationReason(err), err)
	}
	_, subject, err := s.repository.Manifest(ctx, s.revision.Digest)
	if err != nil {
		return flow.Fail(bundleReason(err), err)
	}
	signer, err := check(ctx, subject)
	if err != nil {
		s.unverified = fmt.Errorf("verify %s: %w", s.revision, err)
		return flow.Fail(verificationReason(err), s.unverified)
	}
	s.signer = signer
	return flow.Done()
}

// verificationReason tells a verdict on signatures from a registry that does not answer.
func verificationReason(err error) string {
	for _, verdict := range []error{cosign.ErrVerification, cosign.ErrPolicy, notation.ErrVerification, notation.ErrPolicy, ErrCredentials} {
		if errors.Is(err, verdict) {
			return v1alpha1.VerificationErrorReason
		}
	}
	return bundleReason(err)
}

// check returns who signed an artifact.
type check func(ctx context.Context, subject ocispec.Descriptor) (signer string, err error)

// checkOf makes the check that a spec asks for.
func (b *bundles) checkOf(ctx context.Context, s *bundleScope) (check, error) {
	spec := s.repo.Spec.Verification
	data := map[string][]byte{}
	if spec.SecretRef != nil {
		var err error
		if data, err = secretData(ctx, b.secrets, s.repo.Namespace, spec.SecretRef.Name); err != nil {
			return nil, err
		}
	}
	if spec.Provider == v1alpha1.Notation {
		return b.notationCheck(s, data)
	}
	return b.cosignCheck(ctx, s, data)
}

func (b *bundles) notationCheck(s *bundleScope, data map[string][]byte) (check, error) {
	policy, err := notation.ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("use Secret %s: %w", s.repo.Spec.Verification.SecretRef.Name, err)
	}
	verifier, err := notation.New(policy, b.egress)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, subject ocispec.Descriptor) (string, error) {
		return verifier.Verify(ctx, s.repository, s.repository.Name(), subject)
	}, nil
}

func (b *bundles) cosignCheck(ctx context.Context, s *bundleScope, data map[string][]byte) (check, error) {
	policy, err := b.cosignPolicy(ctx, s, data)
	if err != nil {
		return nil, err
	}
	verifier, err := cosign.New(policy)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, subject ocispec.Descriptor) (string, error) {
		return verifier.Verify(ctx, s.repository, subject)
	}, nil
}

func (b *bundles) cosignPolicy(ctx context.Context, s *bundleScope, data map[string][]byte) (cosign.Policy, error) {
	spec := s.repo.Spec.Verification
	var policy cosign.Policy
	if spec.SecretRef != nil {
		var err error
		if policy.Keys, err = cosign.ParseKeys(data); err != nil {
			return policy, fmt.Errorf("use Secret %s: %w", spec.SecretRef.Name, err)
		}
		return policy, nil
	}
	for _, i := range spec.MatchOIDCIdentity {
		policy.Identities = append(policy.Identities, cosign.Identity{Issuer: i.Issuer, Subject: i.Subject})
	}
	if ref := spec.TrustedRootSecretRef; ref != nil {
		roots, err := secretData(ctx, b.secrets, s.repo.Namespace, ref.Name)
		if err != nil {
			return policy, err
		}
		if policy.TrustedRoot = roots[trustedRootKey]; len(policy.TrustedRoot) == 0 {
			return policy, fmt.Errorf("use Secret %s: %w: the key %s is missing", ref.Name, cosign.ErrPolicy, trustedRootKey)
		}
	}
	return policy, nil
}

package signatures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/signatures/cosign"
	"slipway.dev/slipway/internal/signatures/notation"
)

// Keys of a Secret that make a Trust in keyless signatures of cosign's: whom to trust, and the root that vouches for them.
const (
	IdentitiesKey  = "identities.json"
	TrustedRootKey = "trusted_root.json"
)

// Trust is the data of a Secret that says whose signature counts: a trust policy and certificates of notation's
// (trustpolicy.json, *.crt, *.pem), public keys of cosign's (*.pub), or identities (identities.json, a list of objects with
// issuer and subject) with a trusted root (trusted_root.json). The first of these that it holds is what counts.
type Trust map[string][]byte

// Registry reads what is attached to an artifact.
type Registry = cosign.Registry

// Verifier checks signatures against one Trust.
type Verifier struct {
	cosign   *cosign.Verifier
	notation *notation.Verifier
}

// NewVerifier reads a Trust. What vouches for certificates is asked only where the egress policy allows.
func NewVerifier(t Trust, policy egress.Policy) (*Verifier, error) {
	if _, found := t[notation.PolicyKey]; found {
		p, err := notation.ParsePolicy(t)
		if err != nil {
			return nil, err
		}
		v, err := notation.New(p, policy)
		return &Verifier{notation: v}, err
	}
	p, err := cosignPolicy(t)
	if err != nil {
		return nil, err
	}
	v, err := cosign.New(p)
	return &Verifier{cosign: v}, err
}

func cosignPolicy(t Trust) (cosign.Policy, error) {
	raw, keyless := t[IdentitiesKey]
	if !keyless {
		keys, err := cosign.ParseKeys(t)
		return cosign.Policy{Keys: keys}, err
	}
	p := cosign.Policy{TrustedRoot: t[TrustedRootKey]}
	if err := json.Unmarshal(raw, &p.Identities); err != nil {
		return p, fmt.Errorf("%w: %s is no list of objects with issuer and subject: %w", cosign.ErrPolicy, IdentitiesKey, err)
	}
	if len(p.TrustedRoot) == 0 {
		return p, fmt.Errorf("%w: %s needs %s beside it", cosign.ErrPolicy, IdentitiesKey, TrustedRootKey)
	}
	return p, nil
}

// Verify returns who signed an artifact. The name is host/repository, for policies that say where they hold.
func (v *Verifier) Verify(ctx context.Context, registry Registry, name string, subject ocispec.Descriptor) (signer string, err error) {
	if v.notation != nil {
		return v.notation.Verify(ctx, registry, name, subject)
	}
	return v.cosign.Verify(ctx, registry, subject)
}

// IsVerdict says that an error is that of an artifact which nobody trusted has signed.
func IsVerdict(err error) bool {
	return errors.Is(err, cosign.ErrVerification) || errors.Is(err, notation.ErrVerification)
}

// IsPolicy says that an error is that of a Trust that cannot be used.
func IsPolicy(err error) bool {
	return errors.Is(err, cosign.ErrPolicy) || errors.Is(err, notation.ErrPolicy)
}

// ReadDir reads a Trust from a directory in which a Secret is mounted, and makes sure that it can be used.
func ReadDir(dir string) (Trust, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read who is trusted: %w", err)
	}
	t := Trust{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // how the kubelet swaps versions of a Secret
			continue
		}
		if t[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("read who is trusted: %w", err)
		}
	}
	if _, err := NewVerifier(t, egress.Policy{}); err != nil {
		return nil, fmt.Errorf("read who is trusted from %s: %w", dir, err)
	}
	return t, nil
}

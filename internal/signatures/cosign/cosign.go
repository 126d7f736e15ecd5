package cosign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

var (
	// ErrPolicy says that the policy itself cannot be used.
	ErrPolicy = errors.New("verification policy cannot be used")
	// ErrVerification says that no signature satisfies the policy.
	ErrVerification = errors.New("signature verification failed")
)

// maxSignatures is how many signatures of one artifact are looked at.
const maxSignatures = 64

// Registry reads what is attached to an artifact. *oci.Repository is one. A tag that is not there is an error that missing
// reports.
type Registry interface {
	Manifest(ctx context.Context, reference string) ([]byte, ocispec.Descriptor, error)
	Blob(ctx context.Context, desc ocispec.Descriptor, most int64) ([]byte, error)
	Referrers(ctx context.Context, subject ocispec.Descriptor, artifactType string, most int) ([]ocispec.Descriptor, error)
	Missing(err error) bool
}

// Key is a public key by name.
type Key struct {
	Name   string
	Public crypto.PublicKey
}

// Identity accepts certificates whose issuer and subject match regular expressions in full.
type Identity struct{ Issuer, Subject string }

// Policy says whose signature is enough. With keys, identities do not count.
type Policy struct {
	Keys []Key
	// Identities of keyless signatures, and the trusted root that they are checked against, as JSON.
	Identities  []Identity
	TrustedRoot []byte
}

// ParseKeys reads the public keys of a Secret: those under names that end in .pub.
func ParseKeys(data map[string][]byte) ([]Key, error) {
	var keys []Key
	for name, raw := range data {
		if !strings.HasSuffix(name, ".pub") {
			continue
		}
		public, err := cryptoutils.UnmarshalPEMToPublicKey(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is no public key in PEM form", ErrPolicy, name)
		}
		keys = append(keys, Key{Name: name, Public: public})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: there is no key under a name that ends in .pub", ErrPolicy)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Name, b.Name) })
	return keys, nil
}

// Verifier checks signatures against one policy. It is safe for concurrent use.
type Verifier struct {
	keys       []Key
	keyless    *verify.Verifier
	identities []verify.PolicyOption
}

// New makes a verifier. A policy that would accept anybody is refused.
func New(p Policy) (*Verifier, error) {
	if len(p.Keys) > 0 {
		return &Verifier{keys: p.Keys}, nil
	}
	if len(p.TrustedRoot) == 0 {
		return nil, fmt.Errorf("%w: there are neither keys nor a trusted root; name a Secret with *.pub in secretRef, or one with trusted_root.json in trustedRootSecretRef", ErrPolicy)
	}
	if len(p.Identities) == 0 {
		return nil, fmt.Errorf("%w: keyless signatures need matchOIDCIdentity, else anybody's would do", ErrPolicy)
	}
	v := &Verifier{}
	for _, i := range p.Identities {
		option, err := i.option()
		if err != nil {
			return nil, err
		}
		v.identities = append(v.identities, option)
	}
	var err error
	v.keyless, err = newKeyless(p.TrustedRoot)
	return v, err
}

// option matches in full: an expression without anchors must not match a longer subject.
func (i Identity) option() (verify.PolicyOption, error) {
	for field, expression := range map[string]string{"issuer": i.Issuer, "subject": i.Subject} {
		if expression == "" {
			return nil, fmt.Errorf("%w: matchOIDCIdentity has an empty %s", ErrPolicy, field)
		}
		if _, err := regexp.Compile(expression); err != nil {
			return nil, fmt.Errorf("%w: the %s of matchOIDCIdentity is no regular expression: %w", ErrPolicy, field, err)
		}
	}
	identity, err := verify.NewShortCertificateIdentity("", full(i.Issuer), "", full(i.Subject))
	if err != nil {
		return nil, fmt.Errorf("%w: matchOIDCIdentity: %w", ErrPolicy, err)
	}
	return verify.WithCertificateIdentity(identity), nil
}

func full(expression string) string { return "^(?:" + expression + ")$" }

func newKeyless(trustedRoot []byte) (*verify.Verifier, error) {
	material, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("%w: trusted_root.json cannot be read: %w", ErrPolicy, err)
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if len(material.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	} else if len(material.TimestampingAuthorities()) == 0 {
		return nil, fmt.Errorf("%w: trusted_root.json has neither a transparency log nor a timestamp authority", ErrPolicy)
	}
	if len(material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	v, err := verify.NewVerifier(material, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: trusted_root.json: %w", ErrPolicy, err)
	}
	return v, nil
}

// Verify returns who signed an artifact. The first signature that satisfies the policy is enough.
func (v *Verifier) Verify(ctx context.Context, registry Registry, subject ocispec.Descriptor) (signer string, err error) {
	found, err := gather(ctx, registry, subject)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: %s has no cosign signature", ErrVerification, subject.Digest)
	}
	var problems []error
	for _, s := range found {
		signer, err := v.check(s, subject)
		if err == nil {
			return signer, nil
		}
		problems = append(problems, err)
	}
	return "", fmt.Errorf("%w: none of %d signatures of %s is by who is trusted: %w", ErrVerification, len(found), subject.Digest, problems[0])
}

func (v *Verifier) check(s signature, subject ocispec.Descriptor) (string, error) {
	switch {
	case s.bundle != nil && v.keyless != nil:
		return v.bundleByIdentity(s.bundle, subject)
	case s.bundle != nil:
		return v.bundleByKey(s.bundle, subject)
	case v.keyless != nil:
		return v.simpleByIdentity(s, subject)
	}
	return v.simpleByKey(s, subject)
}

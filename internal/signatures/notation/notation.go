package notation

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	crlutil "github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	core "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/egress"
)

var (
	// ErrPolicy says that the trust policy or the certificates cannot be used.
	ErrPolicy = errors.New("trust policy cannot be used")
	// ErrVerification says that no signature satisfies the policy.
	ErrVerification = errors.New("signature verification failed")
)

// PolicyKey is the key of a Secret that holds the trust policy.
const PolicyKey = "trustpolicy.json"

const (
	// maxSignatures is how many signatures of one artifact are looked at.
	maxSignatures = 50
	maxEnvelope   = 4 << 20
	// revocationTimeout bounds each question whether a certificate was revoked.
	revocationTimeout = 5 * time.Second
)

const signatureArtifactType = "application/vnd.cncf.notary.signature"

// Registry reads what is attached to an artifact. *oci.Repository is one.
type Registry interface {
	Manifest(ctx context.Context, reference string) ([]byte, ocispec.Descriptor, error)
	Blob(ctx context.Context, desc ocispec.Descriptor, most int64) ([]byte, error)
	Referrers(ctx context.Context, subject ocispec.Descriptor, artifactType string, most int) ([]ocispec.Descriptor, error)
}

// Policy is what a Secret holds.
type Policy struct {
	document     *trustpolicy.Document
	certificates map[truststore.Type][]*x509.Certificate
}

// ParsePolicy reads the trust policy and the certificates of a Secret: those of timestamp authorities under names that begin
// with "tsa", the others under any name that ends in .crt or .pem. Every trust store that the policy names holds them all.
func ParsePolicy(data map[string][]byte) (Policy, error) {
	raw, found := data[PolicyKey]
	if !found {
		return Policy{}, fmt.Errorf("%w: the key %s is missing", ErrPolicy, PolicyKey)
	}
	p := Policy{document: &trustpolicy.Document{}, certificates: map[truststore.Type][]*x509.Certificate{}}
	if err := json.Unmarshal(raw, p.document); err != nil {
		return p, fmt.Errorf("%w: %s is not JSON: %w", ErrPolicy, PolicyKey, err)
	}
	if err := p.document.Validate(); err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrPolicy, PolicyKey, err)
	}
	if err := authentic(p.document); err != nil {
		return p, err
	}
	return p, p.addCertificates(data)
}

// authentic refuses statements that accept a signature by anybody.
func authentic(d *trustpolicy.Document) error {
	for _, s := range d.TrustPolicies {
		level, err := s.SignatureVerification.GetVerificationLevel()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPolicy, err)
		}
		for _, kind := range []trustpolicy.ValidationType{trustpolicy.TypeIntegrity, trustpolicy.TypeAuthenticity} {
			if level.Enforcement[kind] != trustpolicy.ActionEnforce {
				return fmt.Errorf("%w: statement %q does not enforce %s, so that anybody's signature would do; set its level to strict or permissive", ErrPolicy, s.Name, kind)
			}
		}
	}
	return nil
}

func (p Policy) addCertificates(data map[string][]byte) error {
	names := make([]string, 0, len(data))
	for name := range data {
		if strings.HasSuffix(name, ".crt") || strings.HasSuffix(name, ".pem") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		certificates, err := parseCertificates(data[name])
		if err != nil {
			return fmt.Errorf("%w: %s %w", ErrPolicy, name, err)
		}
		store := truststore.TypeCA
		if strings.HasPrefix(name, "tsa") {
			store = truststore.TypeTSA
		}
		p.certificates[store] = append(p.certificates[store], certificates...)
	}
	if len(p.certificates[truststore.TypeCA]) == 0 {
		return fmt.Errorf("%w: there is no certificate under a name that ends in .crt or .pem", ErrPolicy)
	}
	return nil
}

func parseCertificates(raw []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a certificate that cannot be read")
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return all, nil
}

// GetCertificates implements truststore.X509TrustStore.
func (p Policy) GetCertificates(_ context.Context, store truststore.Type, name string) ([]*x509.Certificate, error) {
	if store == truststore.TypeSigningAuthority {
		store = truststore.TypeCA
	}
	if len(p.certificates[store]) == 0 {
		return nil, fmt.Errorf("%w: the Secret has no certificate for the trust store %s:%s", ErrPolicy, store, name)
	}
	return p.certificates[store], nil
}

// Verifier checks signatures against one policy. It is safe for concurrent use.
type Verifier struct{ verifier core.Verifier }

// New makes a verifier that asks about revocation only where the egress policy allows.
func New(p Policy, policy egress.Policy) (*Verifier, error) {
	client := &http.Client{Transport: policy.Transport(nil, http.ProxyFromEnvironment), Timeout: revocationTimeout}
	var options verifier.VerifierOptions
	var err error
	if options.RevocationCodeSigningValidator, err = newRevocation(client, purpose.CodeSigning); err != nil {
		return nil, err
	}
	if options.RevocationTimestampingValidator, err = newRevocation(client, purpose.Timestamping); err != nil {
		return nil, err
	}
	v, err := verifier.NewWithOptions(p.document, p, nil, options)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return &Verifier{v}, nil
}

func newRevocation(client *http.Client, of purpose.Purpose) (revocation.Validator, error) {
	fetcher, err := crlutil.NewHTTPFetcher(client)
	if err != nil {
		return nil, fmt.Errorf("prepare for revocation lists: %w", err)
	}
	v, err := revocation.NewWithOptions(revocation.Options{OCSPHTTPClient: client, CRLFetcher: fetcher, CertChainPurpose: of})
	if err != nil {
		return nil, fmt.Errorf("prepare for questions of revocation: %w", err)
	}
	return v, nil
}

// Verify returns who signed an artifact. The name is host/repository, as the policy's scopes have it.
func (v *Verifier) Verify(ctx context.Context, registry Registry, name string, subject ocispec.Descriptor) (signer string, err error) {
	adapter := &adapter{registry: registry, subject: subject}
	_, outcomes, err := core.Verify(ctx, v.verifier, adapter, core.VerifyOptions{
		ArtifactReference:    name + "@" + subject.Digest.String(),
		MaxSignatureAttempts: maxSignatures,
	})
	switch {
	case adapter.failure != nil:
		return "", adapter.failure
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", ErrVerification, subject.Digest, err)
	}
	for _, o := range outcomes {
		if o.Error == nil && o.EnvelopeContent != nil && len(o.EnvelopeContent.SignerInfo.CertificateChain) > 0 {
			return o.EnvelopeContent.SignerInfo.CertificateChain[0].Subject.String(), nil
		}
	}
	return "", fmt.Errorf("%w: %s has no signature that was looked at", ErrVerification, subject.Digest)
}

package notation

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/notaryproject/notation-core-go/testhelper"
	core "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/signer"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/test/bundle"
)

// world is a registry with one bundle in it.
type world struct {
	*bundle.Registry
	subject ocispec.Descriptor
}

func newWorld(t *testing.T) *world {
	t.Helper()
	r := bundle.NewRegistry(t)
	return &world{Registry: r, subject: r.Push("v1", "v1")}
}

// sign signs one artifact and attaches the signature to another, as notation does
// when they are the same.
func (w *world) sign(signed, attached ocispec.Descriptor, key *rsa.PrivateKey, chain ...*x509.Certificate) {
	w.Helper()
	s, err := signer.NewGenericSigner(key, chain)
	if err != nil {
		w.Fatal(err)
	}
	const mediaType = "application/jose+json"
	envelope, _, err := s.Sign(w.Context(), signed, core.SignerSignOptions{SignatureMediaType: mediaType})
	if err != nil {
		w.Fatal(err)
	}
	w.attach(attached, mediaType, envelope)
}

func (w *world) attach(subject ocispec.Descriptor, mediaType string, envelope []byte) {
	w.Helper()
	w.Attach(subject, signatureArtifactType, signatureArtifactType, w.Blob(mediaType, envelope))
}

func secret(level, identity string, root *x509.Certificate) map[string][]byte {
	return map[string][]byte{
		PolicyKey: fmt.Appendf(nil, `{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],
			"signatureVerification":{"level":%q},"trustStores":["ca:company"],"trustedIdentities":[%q]}]}`, level, identity),
		"root.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}),
	}
}

func (w *world) verify(data map[string][]byte) (string, error) {
	w.Helper()
	return w.verifyWithin(data, egress.Policy{})
}

func (w *world) verifyWithin(data map[string][]byte, allowed egress.Policy) (string, error) {
	w.Helper()
	policy, err := ParsePolicy(data)
	if err != nil {
		w.Fatal(err)
	}
	v, err := New(policy, allowed)
	if err != nil {
		w.Fatal(err)
	}
	return v.Verify(w.Context(), w.Repository, w.Repository.Name(), w.subject)
}

// TestCVE_2023_33959: signatures were accepted that nobody trusted had made.
func TestCVE_2023_33959(t *testing.T) {
	root, leaf := testhelper.GetRSARootCertificate(), testhelper.GetRSALeafCertificate()
	stranger := testhelper.GetRSASelfSignedSigningCertTuple("stranger")
	chain := []*x509.Certificate{leaf.Cert, root.Cert}
	tests := map[string]struct {
		attach func(w *world)
		data   map[string][]byte
		says   string
	}{
		"by who is trusted":  {func(w *world) { w.sign(w.subject, w.subject, leaf.PrivateKey, chain...) }, secret("strict", "*", root.Cert), ""},
		"by a trusted name":  {func(w *world) { w.sign(w.subject, w.subject, leaf.PrivateKey, chain...) }, secret("strict", "x509.subject: C=US, ST=WA, O=Notary", root.Cert), ""},
		"by another name":    {func(w *world) { w.sign(w.subject, w.subject, leaf.PrivateKey, chain...) }, secret("strict", "x509.subject: C=US, ST=WA, O=Other", root.Cert), "trusted identities"},
		"by a stranger":      {func(w *world) { w.sign(w.subject, w.subject, stranger.PrivateKey, stranger.Cert) }, secret("strict", "*", root.Cert), "any trusted certificate"},
		"for another":        {func(w *world) { w.sign(w.Push("v2", "v2"), w.subject, leaf.PrivateKey, chain...) }, secret("strict", "*", root.Cert), "mismatch"},
		"not at all":         {func(*world) {}, secret("strict", "*", root.Cert), "no signature"},
		"with garbage":       {func(w *world) { w.attach(w.subject, "application/jose+json", []byte("{}")) }, secret("strict", "*", root.Cert), ""},
		"of an unknown kind": {func(w *world) { w.attach(w.subject, "text/plain", []byte("yes")) }, secret("strict", "*", root.Cert), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.attach(w)
			got, err := w.verify(test.data)
			if strings.HasPrefix(name, "by") && test.says == "" {
				if err != nil || got != leaf.Cert.Subject.String() {
					t.Errorf("verify = %q, %v", got, err)
				}
				return
			}
			if !errors.Is(err, ErrVerification) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("verify = %q, %v; want ErrVerification with %q", got, err, test.says)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	root := testhelper.GetRSARootCertificate().Cert
	good := secret("strict", "*", root)
	tests := map[string]struct {
		change func(map[string][]byte)
		says   string
	}{
		"strict":                        {func(map[string][]byte) {}, ""},
		"permissive":                    {func(d map[string][]byte) { d[PolicyKey] = secret("permissive", "*", root)[PolicyKey] }, ""},
		"audit":                         {func(d map[string][]byte) { d[PolicyKey] = secret("audit", "*", root)[PolicyKey] }, "anybody's"},
		"no policy":                     {func(d map[string][]byte) { delete(d, PolicyKey) }, PolicyKey},
		"no JSON":                       {func(d map[string][]byte) { d[PolicyKey] = []byte("{") }, "JSON"},
		"an empty policy":               {func(d map[string][]byte) { d[PolicyKey] = []byte("{}") }, PolicyKey},
		"no certificate":                {func(d map[string][]byte) { delete(d, "root.crt") }, ".crt or .pem"},
		"no PEM":                        {func(d map[string][]byte) { d["root.crt"] = []byte("x") }, "PEM"},
		"only of a timestamp authority": {func(d map[string][]byte) { d["tsa.crt"] = d["root.crt"]; delete(d, "root.crt") }, ".crt or .pem"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range good {
				data[k] = v
			}
			test.change(data)
			_, err := ParsePolicy(data)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("ParsePolicy() = %v, want ErrPolicy with %q", err, test.says)
			}
		})
	}
}

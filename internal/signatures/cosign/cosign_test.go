package cosign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"

	"slipway.dev/slipway/test/bundle"
)

const (
	issuer = "https://accounts.example"
	who    = "release@example.com"
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

// attach pushes a bundle of sigstore's that refers to the subject, as cosign v3 does.
func (w *world) attach(raw []byte) {
	w.Helper()
	w.Attach(w.subject, bundleMediaType, ocispec.MediaTypeEmptyJSON, w.Blob(bundleMediaType, raw))
}

func (w *world) verify(p Policy) (string, error) {
	w.Helper()
	v, err := New(p)
	if err != nil {
		w.Fatal(err)
	}
	return v.Verify(w.Context(), w.Repository, w.subject)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyPolicy(keys ...*ecdsa.PrivateKey) Policy {
	var p Policy
	for i, k := range keys {
		p.Keys = append(p.Keys, Key{Name: fmt.Sprintf("%d.pub", i), Public: &k.PublicKey})
	}
	return p
}

func TestSignedByKey(t *testing.T) {
	w := newWorld(t)
	mine, other := newKey(t), newKey(t)
	if _, err := w.verify(keyPolicy(mine)); !errors.Is(err, ErrVerification) || !strings.Contains(err.Error(), "no cosign signature") {
		t.Errorf("unsigned: %v, want ErrVerification", err)
	}
	for range 2 {
		if err := Sign(t.Context(), w.Repository, w.Repository.Name(), w.subject, mine); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.verify(keyPolicy(other, mine)); err != nil || got != "key 1.pub" {
		t.Errorf("verify = %q, %v; want key 1.pub", got, err)
	}
	if _, err := w.verify(keyPolicy(other)); !errors.Is(err, ErrVerification) {
		t.Errorf("with another key: %v, want ErrVerification", err)
	}
	manifest, err := signaturesOf(t.Context(), w.Repository, w.subject)
	if err != nil || len(manifest.Layers) != 1 {
		t.Errorf("%d signatures after signing twice, %v; want one", len(manifest.Layers), err)
	}
	if err := Sign(t.Context(), w.Repository, w.Repository.Name(), w.subject, other); err != nil {
		t.Fatal(err)
	}
	for _, key := range []*ecdsa.PrivateKey{mine, other} {
		if _, err := w.verify(keyPolicy(key)); err != nil {
			t.Errorf("after a second signature: %v", err)
		}
	}
}

// A signature that was made for one artifact and is shown for another says nothing.
func TestSignatureOfAnotherArtifact(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	other := w.Push("v2", "v2")
	if err := Sign(t.Context(), w.Repository, w.Repository.Name(), other, key); err != nil {
		t.Fatal(err)
	}
	raw, _, err := w.Repository.Manifest(t.Context(), TagOf(other))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Repository.PushManifest(t.Context(), ocispec.MediaTypeImageManifest, raw, TagOf(w.subject)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verify(keyPolicy(key)); !errors.Is(err, ErrVerification) || !strings.Contains(err.Error(), other.Digest.String()) {
		t.Errorf("verify = %v, want ErrVerification that names the other artifact", err)
	}
}

// Thousands of attachments must not keep the verifier busy: CVE-2024-29902 and
// CVE-2024-29903 of cosign.
func TestCVE202429902TooManySignatures(t *testing.T) {
	w := newWorld(t)
	key, stranger := newKey(t), newKey(t)
	if err := Sign(t.Context(), w.Repository, w.Repository.Name(), w.subject, stranger); err != nil {
		t.Fatal(err)
	}
	manifest, err := signaturesOf(t.Context(), w.Repository, w.subject)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		manifest.Layers = append(manifest.Layers, manifest.Layers[0])
	}
	if err := push(t.Context(), w.Repository, w.subject, manifest); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verify(keyPolicy(key)); err == nil || !strings.Contains(err.Error(), "none of 64 signatures") {
		t.Errorf("verify = %v, want it to stop after 64", err)
	}
}

func TestPrivateKeys(t *testing.T) {
	key := newKey(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := encrypted.Encrypt(pkcs8, []byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := x509.MarshalPKCS8PrivateKey(big)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		kind     string
		der      []byte
		password string
		says     string
	}{
		"cosign":           {"ENCRYPTED SIGSTORE PRIVATE KEY", locked, "pw", ""},
		"a wrong password": {"ENCRYPTED SIGSTORE PRIVATE KEY", locked, "no", "password"},
		"OpenSSL":          {"EC PRIVATE KEY", sec1, "", ""},
		"PKCS 8":           {"PRIVATE KEY", pkcs8, "", ""},
		"another curve":    {"PRIVATE KEY", p384, "", "P-256"},
		"a certificate":    {"CERTIFICATE", pkcs8, "", "CERTIFICATE"},
		"nothing":          {"PRIVATE KEY", nil, "", "cannot be read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			raw := pem.EncodeToMemory(&pem.Block{Type: test.kind, Bytes: test.der})
			got, err := ParsePrivateKey(raw, func() ([]byte, error) { return []byte(test.password), nil })
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error = %v, want %q", err, test.says)
				}
				return
			}
			if err != nil || !got.Equal(key) {
				t.Errorf("key = %v, %v", got, err)
			}
		})
	}
}

func TestPoliciesThatAcceptAnybody(t *testing.T) {
	_, rootJSON := newSigstore(t)
	tests := map[string]struct {
		policy Policy
		says   string
	}{
		"nothing":             {Policy{}, "neither keys nor a trusted root"},
		"no identity":         {Policy{TrustedRoot: rootJSON}, "matchOIDCIdentity"},
		"no root":             {Policy{Identities: []Identity{{"a", "b"}}}, "trusted root"},
		"an empty issuer":     {Policy{TrustedRoot: rootJSON, Identities: []Identity{{"", ".*"}}}, "empty issuer"},
		"a broken expression": {Policy{TrustedRoot: rootJSON, Identities: []Identity{{"(", ".*"}}}, "regular expression"},
		"a root that is none": {Policy{TrustedRoot: []byte("{}"), Identities: []Identity{{"a", "b"}}}, "trusted_root.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := New(test.policy); !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("New() = %v, want ErrPolicy with %q", err, test.says)
			}
		})
	}
	if _, err := ParseKeys(map[string][]byte{"cosign.key": []byte("x")}); !errors.Is(err, ErrPolicy) {
		t.Errorf("no .pub: %v", err)
	}
	if _, err := ParseKeys(map[string][]byte{"cosign.pub": []byte("x")}); !errors.Is(err, ErrPolicy) {
		t.Errorf("no PEM: %v", err)
	}
}

// newSigstore makes authorities and a log of their own, and the trusted root that
// names them.
func newSigstore(t testing.TB) (*ca.VirtualSigstore, []byte) {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	logs := virtual.RekorLogs()
	for id, log := range logs {
		if log.ID, err = hex.DecodeString(id); err != nil {
			t.Fatal(err)
		}
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, virtual.FulcioCertificateAuthorities(), nil, virtual.TimestampingAuthorities(), logs)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := trusted.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return virtual, raw
}

// statement is what cosign v3 signs.
func statement(subject ocispec.Descriptor, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"vms","digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		subject.Digest.Encoded(), predicate)
}

// bundleOf writes what a virtual sigstore signed in the form of a bundle.
func bundleOf(t testing.TB, e *ca.TestEntity, from *ca.TestEntity) []byte {
	t.Helper()
	content, err := e.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	stamps, err := e.Timestamps()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := e.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	return bundleByHand(t, &protobundle.VerificationMaterial{
		Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: content.Certificate().Raw}},
		TlogEntries:               logEntriesOf(t, from),
		TimestampVerificationData: &protobundle.TimestampVerificationData{Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamps[0]}}},
	}, signed.EnvelopeContent().RawEnvelope())
}

// bundleByHand writes a bundle.
func bundleByHand(t testing.TB, material *protobundle.VerificationMaterial, envelope *dsse.Envelope) []byte {
	t.Helper()
	raw, err := protojson.Marshal(&protobundle.Bundle{
		MediaType: bundleMediaType, VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: dsseOf(t, envelope)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func logEntriesOf(t testing.TB, e *ca.TestEntity) []*protorekor.TransparencyLogEntry {
	t.Helper()
	entries, err := e.TlogEntries()
	if err != nil {
		t.Fatal(err)
	}
	var out []*protorekor.TransparencyLogEntry
	for _, entry := range entries {
		out = append(out, entry.TransparencyLogEntry())
	}
	return out
}

func dsseOf(t testing.TB, e *dsse.Envelope) *protodsse.Envelope {
	t.Helper()
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	return &protodsse.Envelope{Payload: payload, PayloadType: e.PayloadType, Signatures: []*protodsse.Signature{{Sig: sum, Keyid: e.Signatures[0].KeyID}}}
}

func TestKeyless(t *testing.T) {
	virtual, trusted := newSigstore(t)
	_, strangers := newSigstore(t)
	attest := func(subject ocispec.Descriptor, predicate, who string) *ca.TestEntity {
		e, err := virtual.AttestHashedRekordV2(who, issuer, statement(subject, predicate))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	mine := []Identity{{issuer, `.*@example\.com`}}
	tests := map[string]struct {
		attach func(w *world)
		root   []byte
		trust  []Identity
		says   string
	}{
		"by who is trusted": {func(w *world) {
			e := attest(w.subject, SignPredicate, who)
			w.attach(bundleOf(t, e, e))
		}, trusted, mine, ""},
		"by somebody else": {func(w *world) {
			e := attest(w.subject, SignPredicate, "mallory@example.org")
			w.attach(bundleOf(t, e, e))
		}, trusted, mine, "identity"},
		"by a longer name": {func(w *world) {
			e := attest(w.subject, SignPredicate, "release@example.com.evil.org")
			w.attach(bundleOf(t, e, e))
		}, trusted, mine, "identity"},
		"from another issuer": {func(w *world) {
			e := attest(w.subject, SignPredicate, who)
			w.attach(bundleOf(t, e, e))
		}, trusted, []Identity{{"https://other.example", ".*"}}, "identity"},
		"under another root": {func(w *world) {
			e := attest(w.subject, SignPredicate, who)
			w.attach(bundleOf(t, e, e))
		}, strangers, mine, "not trusted"},
		"for another artifact": {func(w *world) {
			e := attest(w.Push("v2", "v2"), SignPredicate, who)
			w.attach(bundleOf(t, e, e))
		}, trusted, mine, "not trusted"},
		"of another kind of statement": {func(w *world) {
			e := attest(w.subject, "https://slsa.dev/provenance/v1", who)
			w.attach(bundleOf(t, e, e))
		}, trusted, mine, "not a signature"},
		// CVE-2026-22703 of cosign: a log entry of something else was accepted.
		"CVE-2026-22703: with the log entry of another": {func(w *world) {
			e := attest(w.subject, SignPredicate, who)
			w.attach(bundleOf(t, e, attest(w.Push("v3", "v3"), SignPredicate, who)))
		}, trusted, mine, "log"},
		"garbage": {func(w *world) { w.attach([]byte("{")) }, trusted, mine, "cannot be read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.attach(w)
			got, err := w.verify(Policy{TrustedRoot: test.root, Identities: test.trust})
			if test.says == "" {
				if err != nil || got != who+" ("+issuer+")" {
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

// The form that cosign v2 writes: a tag, a payload, certificate and log entry as
// annotations.
func TestKeylessSimpleSigning(t *testing.T) {
	virtual, trusted := newSigstore(t)
	w := newWorld(t)
	raw, err := payloadFor("registry.example/vms", w.subject)
	if err != nil {
		t.Fatal(err)
	}
	e, err := virtual.Sign(who, issuer, raw)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := e.VerificationContent()
	signed, _ := e.SignatureContent()
	entry := logEntriesOf(t, e)[0]
	var record logEntry
	record.Payload.Body = base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody())
	record.Payload.IntegratedTime, record.Payload.LogIndex = entry.GetIntegratedTime(), entry.GetLogIndex()
	record.Payload.LogID = hex.EncodeToString(entry.GetLogId().GetKeyId())
	record.SignedEntryTimestamp, err = virtual.RekorSignPayload(tlog.RekorPayload{
		Body: record.Payload.Body, IntegratedTime: record.Payload.IntegratedTime, LogIndex: record.Payload.LogIndex, LogID: record.Payload.LogID,
	})
	if err != nil {
		t.Fatal(err)
	}
	rekor, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := w.Repository.PushBlob(t.Context(), SimpleSigningMediaType, raw)
	if err != nil {
		t.Fatal(err)
	}
	layer.Annotations = map[string]string{
		signatureAnnotation:   base64.StdEncoding.EncodeToString(signed.Signature()),
		certificateAnnotation: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: content.Certificate().Raw})),
		rekorAnnotation:       string(rekor),
	}
	if err := push(t.Context(), w.Repository, w.subject, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Versioned: specs.Versioned{SchemaVersion: 2}, Layers: []ocispec.Descriptor{layer}}); err != nil {
		t.Fatal(err)
	}
	mine := Policy{TrustedRoot: trusted, Identities: []Identity{{issuer, who}}}
	if got, err := w.verify(mine); err != nil || got != who+" ("+issuer+")" {
		t.Errorf("verify = %q, %v", got, err)
	}
	delete(layer.Annotations, rekorAnnotation)
	if err := push(t.Context(), w.Repository, w.subject, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Versioned: specs.Versioned{SchemaVersion: 2}, Layers: []ocispec.Descriptor{layer}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verify(mine); !errors.Is(err, ErrVerification) {
		t.Errorf("without a log entry: %v, want ErrVerification", err)
	}
}

func FuzzSimpleSignature(f *testing.F) {
	subject := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
	raw, err := payloadFor("x", subject)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", `{"Payload":{"body":"e30="}}`, `{}`)
	f.Fuzz(func(t *testing.T, payload []byte, certificate, rekor, stamp string) {
		s := signature{payload: payload, annotations: map[string]string{certificateAnnotation: certificate, rekorAnnotation: rekor, timestampAnnotation: stamp}}
		if b, err := s.asBundle(); err == nil && b.GetMessageSignature() == nil {
			t.Error("a bundle without a signature")
		}
		if err := speaksOf(payload, subject); err == nil && !strings.Contains(string(payload), subject.Digest.Encoded()) {
			t.Errorf("%q speaks of the subject", payload)
		}
	})
}

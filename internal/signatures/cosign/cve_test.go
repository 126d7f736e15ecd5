package cosign

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
)

const inToto = "application/vnd.in-toto+json"

// sealed signs a payload as it stands in a bundle of sigstore's.
func sealed(t testing.TB, key *ecdsa.PrivateKey, payloadType string, payload []byte) *dsse.Envelope {
	t.Helper()
	digest := sha256.Sum256(dsse.PAE(payloadType, payload))
	sum, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return &dsse.Envelope{PayloadType: payloadType, Payload: encode(payload), Signatures: []dsse.Signature{{Sig: encode(sum)}}}
}

// bundleByKey is a bundle that a key signed.
func bundleByKey(t testing.TB, key *ecdsa.PrivateKey, payloadType string, payload []byte) []byte {
	t.Helper()
	hint := &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: "x"}}
	return bundleByHand(t, &protobundle.VerificationMaterial{Content: hint}, sealed(t, key, payloadType, payload))
}

// TestCVE_2026_39395: a good signature over another statement than the one that is wanted, or over what cannot be read.
func TestCVE_2026_39395(t *testing.T) {
	virtual, trusted := newSigstore(t)
	key := newKey(t)
	byKey := func(t *testing.T, payload []byte) []byte { return bundleByKey(t, key, inToto, payload) }
	byText := func(t *testing.T, payload []byte) []byte { return bundleByKey(t, key, "text/plain", payload) }
	byIdentity := func(t *testing.T, payload []byte) []byte {
		e, err := virtual.AttestHashedRekordV2(who, issuer, payload)
		if err != nil {
			t.Fatal(err)
		}
		return bundleOf(t, e, e)
	}
	payloads := map[string]func(good string) string{
		"a signature":       func(good string) string { return good },
		"a list of parts":   func(good string) string { return strings.Replace(good, SignPredicate, "https://spdx.dev/Document", 1) },
		"a longer type":     func(good string) string { return strings.Replace(good, SignPredicate, SignPredicate+"/x", 1) },
		"an empty type":     func(good string) string { return strings.Replace(good, SignPredicate, "", 1) },
		"no type":           func(good string) string { return strings.Replace(good, `"predicateType"`, `"other"`, 1) },
		"a type of numbers": func(good string) string { return strings.Replace(good, `"`+SignPredicate+`"`, "7", 1) },
		"no subject":        func(good string) string { return strings.Replace(good, `"subject"`, `"other"`, 1) },
		"JSON cut off":      func(good string) string { return good[:len(good)-1] },
		"no JSON":           func(string) string { return "yes" },
		"null":              func(string) string { return "null" },
		"nothing":           func(string) string { return "" },
	}
	tests := map[string]struct {
		sign   func(*testing.T, []byte) []byte
		policy Policy
		never  bool // not even the good one
	}{
		"by key":          {byKey, keyPolicy(key), false},
		"by identity":     {byIdentity, Policy{TrustedRoot: trusted, Identities: []Identity{{issuer, who}}}, false},
		"by key, as text": {byText, keyPolicy(key), true},
	}
	for by, test := range tests {
		for name, payload := range payloads {
			t.Run(name+" "+by, func(t *testing.T) {
				w := newWorld(t)
				w.attach(test.sign(t, []byte(payload(string(statement(w.subject, SignPredicate))))))
				want := ErrVerification
				if name == "a signature" && !test.never {
					want = nil
				}
				if got, err := w.verify(test.policy); !errors.Is(err, want) {
					t.Errorf("verify = %q, %v; want %v", got, err, want)
				}
			})
		}
	}
}

// authority is one whose intermediate certificate ends at a time.
func authority(t *testing.T, ends time.Time) (*root.FulcioCertificateAuthority, *ecdsa.PrivateKey) {
	t.Helper()
	top, topKey, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "intermediate"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, BasicConstraintsValid: true, IsCA: true,
	}, top, &key.PublicKey, topKey)
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &root.FulcioCertificateAuthority{Root: top, Intermediates: []*x509.Certificate{intermediate}, ValidityPeriodStart: top.NotBefore, ValidityPeriodEnd: top.NotAfter, URI: "https://authority.example"}, key
}

// logged enters a signature into the log at a time.
func logged(t *testing.T, log *ca.VirtualSigstore, leaf *x509.Certificate, envelope *dsse.Envelope, at time.Time) *protorekor.TransparencyLogEntry {
	t.Helper()
	sum, err := base64.StdEncoding.DecodeString(envelope.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	made, err := log.GenerateTlogEntry(leaf, envelope, sum, at.Unix(), true)
	if err != nil {
		t.Fatal(err)
	}
	entry := made.TransparencyLogEntry()
	promise, err := log.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()), IntegratedTime: entry.GetIntegratedTime(),
		LogIndex: entry.GetLogIndex(), LogID: hex.EncodeToString(entry.GetLogId().GetKeyId()),
	})
	if err != nil {
		t.Fatal(err)
	}
	entry.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	return entry
}

// TestCVE_2026_24122: a signature from after the end of the certificate that issued the signer's, which itself is still good.
func TestCVE_2026_24122(t *testing.T) {
	virtual, usual := newSigstore(t)
	trusted, err := root.NewTrustedRootFromJSON(usual)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	signedAt := begin.Add(5 * time.Minute) // the signer's certificate holds for ten
	for name, test := range map[string]struct {
		ends time.Time
		want error
	}{
		"issuer that is still good": {signedAt.Add(time.Minute), nil},
		"issuer that ended before":  {signedAt.Add(-time.Minute), ErrVerification},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			from, issuerKey := authority(t, test.ends)
			key := newKey(t)
			leaf, err := ca.GenerateLeafCert(who, issuer, begin, key, from.Intermediates[0], issuerKey)
			if err != nil {
				t.Fatal(err)
			}
			envelope := sealed(t, key, inToto, statement(w.subject, SignPredicate))
			w.attach(bundleByHand(t, &protobundle.VerificationMaterial{
				Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: leaf.Raw}},
				TlogEntries: []*protorekor.TransparencyLogEntry{logged(t, virtual, leaf, envelope, signedAt)},
			}, envelope))
			theirs, err := root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{from}, nil, nil, trusted.RekorLogs())
			if err != nil {
				t.Fatal(err)
			}
			rootJSON, err := theirs.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := w.verify(Policy{TrustedRoot: rootJSON, Identities: []Identity{{issuer, who}}}); !errors.Is(err, test.want) {
				t.Errorf("verify = %q, %v; want %v", got, err, test.want)
			}
		})
	}
}

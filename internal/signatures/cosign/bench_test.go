package cosign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// BenchmarkKey measures one signature by a key, without the registry.
func BenchmarkKey(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	subject := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
	raw, err := payloadFor("registry.example/x", subject)
	if err != nil {
		b.Fatal(err)
	}
	sum, err := ecdsa.SignASN1(rand.Reader, key, digestOf(raw))
	if err != nil {
		b.Fatal(err)
	}
	v := &Verifier{keys: []Key{{Name: "k.pub", Public: &key.PublicKey}}}
	for b.Loop() {
		if _, err := v.check(signature{payload: raw, signature: sum}, subject); err != nil {
			b.Fatal(err)
		}
	}
}

func digestOf(raw []byte) []byte {
	h := digest.SHA256.Hash()
	h.Write(raw)
	return h.Sum(nil)
}

// BenchmarkKeyless measures one bundle: chain, log entry, timestamp and signature.
func BenchmarkKeyless(b *testing.B) {
	virtual, raw := newSigstore(b)
	subject := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
	e, err := virtual.AttestHashedRekordV2(who, issuer, statement(subject, SignPredicate))
	if err != nil {
		b.Fatal(err)
	}
	bundle := bundleOf(b, e, e)
	v, err := New(Policy{TrustedRoot: raw, Identities: []Identity{{issuer, who}}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.check(signature{bundle: bundle}, subject); err != nil {
			b.Fatal(err)
		}
	}
}

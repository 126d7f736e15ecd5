package cosign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"syscall"
	"testing"
	"time"

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

// BenchmarkKeyless measures one bundle: the trusted root is read, then chain, log
// entry, timestamp and signature are checked. On a machine with other work the CPU
// says more than the time.
func BenchmarkKeyless(b *testing.B) {
	virtual, raw := newSigstore(b)
	subject := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
	e, err := virtual.AttestHashedRekordV2(who, issuer, statement(subject, SignPredicate))
	if err != nil {
		b.Fatal(err)
	}
	bundle := bundleOf(b, e, e)
	before := used(b)
	for b.Loop() {
		v, err := New(Policy{TrustedRoot: raw, Identities: []Identity{{issuer, who}}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.check(signature{bundle: bundle}, subject); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((used(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// used is the CPU time of the process so far.
func used(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

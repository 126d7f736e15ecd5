package notation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/notaryproject/notation-core-go/testhelper"
	core "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/tspclient-go"

	"slipway.dev/slipway/internal/egress"
)

// authority is a timestamp authority that publishes which of its certificates it revoked.
type authority struct {
	*testing.T
	root, leaf       *x509.Certificate
	rootKey, leafKey *rsa.PrivateKey
	revoked          []x509.RevocationListEntry
	// asked counts the questions for the list.
	asked int
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{T: t}
	lists := httptest.NewServer(http.HandlerFunc(a.list))
	t.Cleanup(lists.Close)
	year := time.Now().AddDate(1, 0, 0)
	a.rootKey, a.root = a.issue(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "timestamps root"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: year,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	})
	a.leafKey, a.leaf = a.issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "timestamps"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: year,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, CRLDistributionPoints: []string{lists.URL},
		ExtraExtensions: []pkix.Extension{{ // only this use, and critical: RFC 3161 asks for both
			Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: a.marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}),
		}},
	})
	return a
}

func (a *authority) marshal(value any) []byte {
	a.Helper()
	raw, err := asn1.Marshal(value)
	if err != nil {
		a.Fatal(err)
	}
	return raw
}

// issue makes a certificate of the root's, or the root when there is none yet.
func (a *authority) issue(template *x509.Certificate) (*rsa.PrivateKey, *x509.Certificate) {
	a.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.Fatal(err)
	}
	parent, parentKey := template, key
	if a.root != nil {
		parent, parentKey = a.root, a.rootKey
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		a.Fatal(err)
	}
	return key, c
}

func (a *authority) list(w http.ResponseWriter, _ *http.Request) {
	a.asked++
	raw, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: a.revoked,
	}, a.root, a.rootKey)
	if err != nil {
		a.Error(err)
	}
	_, _ = w.Write(raw)
}

// Timestamp implements tspclient.Timestamper.
func (a *authority) Timestamp(_ context.Context, asked *tspclient.Request) (*tspclient.Response, error) {
	raw, err := asked.MarshalBinary()
	if err != nil {
		return nil, err
	}
	request, err := timestamp.ParseRequest(raw)
	if err != nil {
		return nil, err
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Nonce: request.Nonce, Time: time.Now(),
		Accuracy: time.Second, Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true, Certificates: []*x509.Certificate{a.root},
	}
	if raw, err = stamp.CreateResponseWithOpts(a.leaf, a.leafKey, crypto.SHA256); err != nil {
		return nil, err
	}
	answer := &tspclient.Response{}
	return answer, answer.UnmarshalBinary(raw)
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// stamped is a registry with a signature that the authority stamped, and the policy that asks for the stamp.
func (a *authority) stamped() (*world, map[string][]byte) {
	a.Helper()
	w := newWorld(a.T)
	root, leaf := testhelper.GetRSARootCertificate(), testhelper.GetRSALeafCertificate()
	s, err := signer.NewGenericSigner(leaf.PrivateKey, []*x509.Certificate{leaf.Cert, root.Cert})
	if err != nil {
		a.Fatal(err)
	}
	const mediaType = "application/jose+json"
	envelope, _, err := s.Sign(a.Context(), w.subject, core.SignerSignOptions{SignatureMediaType: mediaType, Timestamper: a, TSARootCAs: a.pool()})
	if err != nil {
		a.Fatal(err)
	}
	w.attach(w.subject, mediaType, envelope)
	data := secret("strict", "*", root.Cert)
	data[PolicyKey] = bytes.Replace(data[PolicyKey], []byte(`"ca:company"`), []byte(`"ca:company","tsa:company"`), 1)
	data["tsa.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
	return w, data
}

// TestCVE_2024_56138: whether the certificate of a timestamp authority was revoked was not asked.
func TestCVE_2024_56138(t *testing.T) {
	revoked := []x509.RevocationListEntry{{SerialNumber: big.NewInt(2), RevocationTime: time.Now().Add(-time.Minute)}}
	tests := map[string]struct {
		revoked []x509.RevocationListEntry
		allowed egress.Policy
		says    string
	}{
		"in force":            {nil, egress.Policy{Allow: egress.Loopback}, ""},
		"revoked":             {revoked, egress.Policy{Allow: egress.Loopback}, "is revoked"},
		"nobody may be asked": {nil, egress.Policy{}, "status is unknown"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tsa := newAuthority(t)
			w, data := tsa.stamped()
			tsa.revoked = test.revoked
			_, err := w.verifyWithin(data, test.allowed)
			if test.says == "" {
				if err != nil || tsa.asked == 0 {
					t.Errorf("verify: %v; the list was asked for %d times", err, tsa.asked)
				}
				return
			}
			if !errors.Is(err, ErrVerification) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("verify: %v; want ErrVerification with %q", err, test.says)
			}
		})
	}
}

// TestCVE_2024_51491: revocation lists were kept in files, and a temporary directory from which they could not be moved
// brought the verifier down. Here none is kept, so each look is at a list that is current.
func TestCVE_2024_51491(t *testing.T) {
	tsa := newAuthority(t)
	w, data := tsa.stamped()
	for _, name := range []string{"TMPDIR", "HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, filepath.Join(t.TempDir(), "missing"))
	}
	if _, err := w.verifyWithin(data, egress.Policy{Allow: egress.Loopback}); err != nil {
		t.Fatal(err)
	}
	tsa.revoked = []x509.RevocationListEntry{{SerialNumber: big.NewInt(2), RevocationTime: time.Now().Add(-time.Minute)}}
	if _, err := w.verifyWithin(data, egress.Policy{Allow: egress.Loopback}); !errors.Is(err, ErrVerification) {
		t.Errorf("verify with a list of before: %v", err)
	}
}

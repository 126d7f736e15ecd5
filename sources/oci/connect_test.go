package oci

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/internal/egress"
)

// answers is a registry that has every tag.
func answers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	w.Header().Set("Docker-Content-Digest", digest.FromString("x").String())
	w.Header().Set("Content-Length", "1")
}

// clientCertificate makes an authority and a certificate of it.
func clientCertificate(t *testing.T) (pool *x509.CertPool, cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "slipway"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestCertificates(t *testing.T) {
	pool, cert, key := clientCertificate(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(answers))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	tests := map[string]struct {
		tls  TLS
		says string
	}{
		"both":                  {TLS{CA: ca, Cert: cert, Key: key}, ""},
		"no authority":          {TLS{Cert: cert, Key: key}, "certSecretRef"},
		"no client certificate": {TLS{CA: ca}, "certificate required"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := NewClient(egress.Policy{Allow: egress.Loopback}).Repository(Remote{URL: Scheme + strings.TrimPrefix(server.URL, "https://") + "/x", TLS: test.tls})
			if err == nil {
				_, err = r.Resolve(t.Context(), Ref{Tag: "v1"})
			}
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Resolve() = %v, want ErrUnreachable with %q", err, test.says)
			}
		})
	}
	for name, data := range map[string]map[string][]byte{"nothing": {}, "no CA": {"ca.crt": []byte("x")}, "half a pair": {"tls.crt": cert}} {
		if _, err := ParseTLS(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestProxy(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Host+" "+r.Header.Get("Proxy-Authorization"))
		answers(w, r)
	}))
	defer proxy.Close()
	r, err := NewClient(egress.Policy{Allow: egress.Loopback}).Repository(Remote{
		URL: "oci://registry.example/x", Insecure: true, Proxy: Proxy{URL: proxy.URL, Username: "me", Password: "s3cr3t"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), Ref{Tag: "v1"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"registry.example Basic bWU6czNjcjN0"}, seen); diff != "" {
		t.Errorf("requests at the proxy (-want +got):\n%s", diff)
	}
}

// A redirect from HTTPS to HTTP would show what was encrypted.
func TestRedirectToPlainHTTP(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the plain server was asked") }))
	defer plain.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	r, err := NewClient(egress.Policy{Allow: egress.Loopback}).Repository(Remote{URL: Scheme + strings.TrimPrefix(server.URL, "https://") + "/x", TLS: TLS{CA: ca}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), Ref{Tag: "v1"}); !errors.Is(err, ErrRefused) {
		t.Errorf("Resolve() = %v, want ErrRefused", err)
	}
}

// What is pushed here is what oras copies and Flux looks for: one layer of Flux's
// content under Flux's configuration.
func TestOrasReadsWhatIsPushed(t *testing.T) {
	w := newWorld(t)
	pushed := w.push(sample, "v1")
	store := memory.New()
	desc, err := oras.Copy(t.Context(), w.repository().oras, "v1", store, "v1", oras.DefaultCopyOptions)
	if err != nil || desc.Digest.String() != pushed {
		t.Fatalf("Copy() = %v, %v", desc, err)
	}
	parts, err := content.Successors(t.Context(), store, desc)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, p := range parts {
		types = append(types, p.MediaType)
		body, err := store.Fetch(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Error(err)
		}
		body.Close()
	}
	if diff := cmp.Diff([]string{ConfigMediaType, ContentMediaType}, types); diff != "" {
		t.Errorf("media types (-want +got):\n%s", diff)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	c := NewClient(egress.Policy{})
	for i := range connections + 10 {
		if _, err := c.Repository(Remote{URL: "oci://registry.example/x" + strings.Repeat("x", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.known) != connections || len(c.order) != connections {
		t.Errorf("%d connections are remembered, want %d", len(c.known), connections)
	}
}

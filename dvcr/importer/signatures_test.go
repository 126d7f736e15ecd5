package importer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/internal/signatures/cosign"
	"slipway.dev/slipway/sources/oci"
)

func newKey(t *testing.T) (*ecdsa.PrivateKey, signatures.Trust) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, signatures.Trust{"release.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
}

// sign signs an image as `cosign sign --key` does.
func sign(t *testing.T, s *registry.Server, subject ocispec.Descriptor, key *ecdsa.PrivateKey) {
	t.Helper()
	c := s.Credentials()
	repo, err := oci.NewClient(egress.Policy{Allow: egress.Loopback}).Repository(oci.Remote{
		URL: oci.Scheme + s.Addr() + "/images/debian", Insecure: true,
		Logins: []oci.Login{{Scope: s.Addr(), Username: c.Username, Password: c.Password}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := cosign.Sign(t.Context(), repo, s.Addr()+"/images/debian", subject, key); err != nil {
		t.Fatal(err)
	}
}

// TestSignaturesOfImages imports images that are signed, and by whom, and looks at what was read of those that are refused.
func TestSignaturesOfImages(t *testing.T) {
	raw := rawDisk(1, mib)
	s, repo := foreign(t)
	release, byRelease := newKey(t)
	other, byOther := newKey(t)
	signed := publish(t, repo, "signed", layer(t, file{name: "disk/disk.img", content: raw}))
	twice := publish(t, repo, "twice", zst(t, layer(t, file{name: "disk/disk.img", content: raw})))
	plain := publish(t, repo, "plain", gz(t, layer(t, file{name: "disk/disk.img", content: raw})))
	sign(t, s, signed, release)
	sign(t, s, twice, release)
	sign(t, s, twice, other)
	// The signature of one image under the tag that another's would have.
	if desc, err := repo.Resolve(t.Context(), cosign.TagOf(signed)); err != nil {
		t.Fatal(err)
	} else if err := repo.Tag(t.Context(), desc, cosign.TagOf(plain)); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		image string
		by    []signatures.Trust
		want  error
	}{
		"nobody asks":          {image: ":plain"},
		"signed":               {image: ":signed", by: []signatures.Trust{byRelease}},
		"signed, by digest":    {image: "@" + signed.Digest.String(), by: []signatures.Trust{byRelease}},
		"signed by both":       {image: ":twice", by: []signatures.Trust{byRelease, byOther}},
		"signed by one only":   {image: ":signed", by: []signatures.Trust{byRelease, byOther}, want: importer.ErrUnsigned},
		"signed by another":    {image: ":signed", by: []signatures.Trust{byOther}, want: importer.ErrUnsigned},
		"another's signature":  {image: ":plain", by: []signatures.Trust{byRelease}, want: importer.ErrUnsigned},
		"no key":               {image: ":signed", by: []signatures.Trust{{"readme": nil}}, want: importer.ErrInvalidSource},
		"broken policy":        {image: ":signed", by: []signatures.Trust{{"trustpolicy.json": []byte("{")}}, want: importer.ErrInvalidSource},
		"identities, no root":  {image: ":signed", by: []signatures.Trust{{"identities.json": []byte("[]")}}, want: importer.ErrInvalidSource},
		"not there, and asked": {image: ":none", by: []signatures.Trust{byRelease}, want: importer.ErrNotFound},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			reg := dvcr(t).Client()
			job := containerJob(s, c.image)
			job.Source.Registry.SignedBy = c.by
			state := finishJob(t, newRunner(t, reg, loopback()), job)
			if !errors.Is(state.Err, c.want) {
				t.Fatalf("ended with %v, want %v", state.Err, c.want)
			}
			if c.want == nil {
				same(t, stored(t, reg, job.Destination), raw)
			}
		})
	}
}

// TestTagThatMovesAfterTheCheck has a registry that gives one image to whoever looks up the tag first, and another one later.
func TestTagThatMovesAfterTheCheck(t *testing.T) {
	raw := rawDisk(1, mib)
	s, repo := foreign(t)
	release, byRelease := newKey(t)
	signed := publish(t, repo, "v1", layer(t, file{name: "disk/disk.img", content: raw}))
	sign(t, s, signed, release)
	evil, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(rawDisk(2, mib)), -1), repo, "evil", disk.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}

	var once sync.Once
	c := s.Credentials()
	proxy := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			forward(t, s, c, w, r)
			return
		}
		target := evil.Digest
		once.Do(func() { target = signed.Digest.String() })
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "v1") + target
		forward(t, s, c, w, r)
	})
	host := strings.TrimSuffix(strings.TrimPrefix(proxy, "http://"), "/disk.img")
	job := importer.Job{ID: "one", Destination: "cvi/debian:v1", Source: importer.Source{Registry: &importer.RegistrySource{
		Image: host + "/images/debian:v1", SignedBy: []signatures.Trust{byRelease},
	}}}
	reg := dvcr(t).Client()
	if state := finishJob(t, newRunner(t, reg, loopback()), job); state.Err != nil {
		t.Fatal(state.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

// forward asks the registry itself.
func forward(t *testing.T, s *registry.Server, c registry.Credentials, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+s.Addr()+r.URL.RequestURI(), nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header = r.Header.Clone()
	req.SetBasicAuth(c.Username, c.Password)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

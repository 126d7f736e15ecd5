package oci

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/egress"
)

// BenchmarkNothingNew measures one look at a repository whose tag stands still,
// with the server that answers it.
func BenchmarkNothingNew(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", digest.FromString("x").String())
		w.Header().Set("Content-Length", "1")
	}))
	defer server.Close()
	client := NewClient(egress.Policy{Allow: egress.Loopback})
	for b.Loop() {
		r, err := client.Repository(Remote{URL: Scheme + strings.TrimPrefix(server.URL, "http://") + "/x", Insecure: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Resolve(b.Context(), Ref{Tag: "v1"}); err != nil {
			b.Fatal(err)
		}
	}
}

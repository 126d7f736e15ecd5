// Package bundle gives tests a real registry with a repository of bundles.
//
// In comes a test, out goes DVCR on a free port of the loopback for as long as the test lives, and a client that is logged in.
// It never signs: what a signature is stands with those who verify it.
package bundle

import (
	"context"
	"encoding/json"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/oci"
)

// Registry is a registry, and its repository team/vms.
type Registry struct {
	*testing.T
	Server     *registry.Server
	Clients    *oci.Client
	Repository *oci.Repository
	// URL is the repository's, with the scheme oci.
	URL string
}

// NewRegistry starts one.
func NewRegistry(t *testing.T) *Registry {
	t.Helper()
	server, err := registry.NewServer(registry.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	r := &Registry{T: t, Server: server, Clients: oci.NewClient(egress.Policy{Allow: egress.Loopback}), URL: oci.Scheme + server.Addr() + "/team/vms"}
	login := server.Credentials()
	r.Repository, err = r.Clients.Repository(oci.Remote{
		URL: r.URL, Insecure: true, Logins: []oci.Login{{Scope: server.Addr(), Username: login.Username, Password: login.Password}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// DockerConfig is what Docker keeps of a login at a host.
func (r *Registry) DockerConfig(host string, login registry.Credentials) []byte {
	r.Helper()
	raw, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": login.Username, "password": login.Password}}})
	if err != nil {
		r.Fatal(err)
	}
	return raw
}

// Push pushes a bundle with one file, vm.yaml, under a tag, and describes its manifest. The content names its revision.
func (r *Registry) Push(tag, content string) ocispec.Descriptor {
	r.Helper()
	packed, err := oci.Pack(r.Context(), fstest.MapFS{"vm.yaml": {Data: []byte(content)}}, "", oci.Annotations{Revision: "main@sha1:" + content})
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = packed.Close() }()
	if err := r.Repository.Push(r.Context(), packed, tag); err != nil {
		r.Fatal(err)
	}
	_, subject, err := r.Repository.Manifest(r.Context(), packed.Digest)
	if err != nil {
		r.Fatal(err)
	}
	return subject
}

// Attach pushes an artifact of one layer that refers to a subject.
func (r *Registry) Attach(subject ocispec.Descriptor, artifactType, configType string, layer ocispec.Descriptor) {
	r.Helper()
	r.Manifest(ocispec.Manifest{ArtifactType: artifactType, Config: r.Blob(configType, []byte("{}")), Layers: []ocispec.Descriptor{layer}, Subject: &subject})
}

// Blob pushes a blob.
func (r *Registry) Blob(mediaType string, raw []byte) ocispec.Descriptor {
	r.Helper()
	blob, err := r.Repository.PushBlob(r.Context(), mediaType, raw)
	if err != nil {
		r.Fatal(err)
	}
	return blob
}

// Manifest pushes an image manifest without a tag.
func (r *Registry) Manifest(m ocispec.Manifest) {
	r.Helper()
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	raw, err := json.Marshal(m)
	if err != nil {
		r.Fatal(err)
	}
	if err := r.Repository.PushManifest(r.Context(), m.MediaType, raw, ""); err != nil {
		r.Fatal(err)
	}
}

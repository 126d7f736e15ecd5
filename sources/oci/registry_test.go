package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

// world is a real registry and a client of it.
type world struct {
	*testing.T
	server *registry.Server
	client *Client
	remote Remote
	dir    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir()}
	var err error
	if w.server, err = registry.NewServer(registry.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close(context.Background()) })
	w.client = NewClient(egress.Policy{Allow: egress.Loopback}, WithTempDir(w.dir))
	c := w.server.Credentials()
	w.remote = Remote{URL: Scheme + w.server.Addr() + "/team/vms", Insecure: true, Logins: []Login{{Scope: w.server.Addr(), Username: c.Username, Password: c.Password}}}
	return w
}

func (w *world) repository() *Repository {
	w.Helper()
	r, err := w.client.Repository(w.remote)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

var sample = fstest.MapFS{
	"kustomization.yaml": {Data: []byte("resources: [vm.yaml]\n")},
	"vm.yaml":            {Data: []byte("kind: VirtualMachine\n")},
	"bin/run":            {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
	"root.qcow2":         {Data: []byte("not here")},
}

// push pushes a tree under a tag and returns the manifest's digest.
func (w *world) push(files fs.FS, tag string) string {
	w.Helper()
	p, err := Pack(w.Context(), files, "", Annotations{Source: "https://git.example/vms", Revision: "main@sha1:abc"})
	if err != nil {
		w.Fatal(err)
	}
	defer p.Close()
	if err := w.repository().Push(w.Context(), p, tag); err != nil {
		w.Fatal(err)
	}
	return p.Digest
}

// pushLayers pushes an artifact with oras, as `oras push` does.
func (w *world) pushLayers(tag string, layers ...ocispec.Descriptor) {
	w.Helper()
	store := memory.New()
	for i, l := range layers {
		l.Digest, l.Size = digest.FromBytes(l.Data), int64(len(l.Data))
		data := l.Data
		l.Data = nil
		layers[i] = l
		if err := store.Push(w.Context(), l, bytes.NewReader(data)); err != nil {
			w.Fatal(err)
		}
	}
	desc, err := oras.PackManifest(w.Context(), store, oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: layers})
	if err != nil {
		w.Fatal(err)
	}
	if err := store.Tag(w.Context(), desc, tag); err != nil {
		w.Fatal(err)
	}
	if _, err := oras.Copy(w.Context(), store, tag, w.repository().oras, tag, oras.DefaultCopyOptions); err != nil {
		w.Fatal(err)
	}
}

// files lists a tree with its contents.
func files(t *testing.T, tree fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		out[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nothingLeft fails when a download left a file behind.
func (w *world) nothingLeft() {
	w.Helper()
	if left, err := os.ReadDir(w.dir); err != nil || len(left) > 0 {
		w.Errorf("temporary files left: %v, %v", left, err)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

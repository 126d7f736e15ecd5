package intake_test

import (
	"bytes"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/reconcilers/image/intake"
)

func TestShelfOnARealRegistry(t *testing.T) {
	server, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	shelf := intake.NewShelf(server.Client())
	if shelf.Address() != server.Addr() {
		t.Errorf("address is %s, want %s", shelf.Address(), server.Addr())
	}
	put(t, server.Client(), "vi/team/debian", "u1")
	put(t, server.Client(), "vi/team/debian", "u2")

	for name, want := range map[string]bool{
		"vi/team/debian:u1": true, "vi/team/debian:u3": false, "vi/team/other:u1": false,
	} {
		if got, err := shelf.Has(t.Context(), name); err != nil || got != want {
			t.Errorf("Has(%s) = %t, %v, want %t", name, got, err, want)
		}
	}
	if found, err := shelf.Find(t.Context(), "vi/team/debian:u1"); err != nil || found != nil {
		t.Errorf("what is no disk is found: %+v, %v", found, err)
	}
	if found, err := shelf.Find(t.Context(), "vi/team/debian:u3"); err != nil || found != nil {
		t.Errorf("what is not there is found: %+v, %v", found, err)
	}
	pushDisk(t, server.Client(), "vi/team/real", "u1")
	if found, err := shelf.Find(t.Context(), "vi/team/real:u1"); err != nil || found == nil || found.VirtualSize != 1<<20 || found.Format != "raw" {
		t.Errorf("a disk is found as %+v, %v", found, err)
	}
	for _, name := range []string{"vi/team/debian:u1", "vi/team/debian:u1", "vi/team/other:u1"} {
		if err := shelf.Remove(t.Context(), name); err != nil {
			t.Errorf("Remove(%s): %v", name, err)
		}
	}
	if got, err := shelf.Has(t.Context(), "vi/team/debian:u1"); err != nil || got {
		t.Errorf("the removed artifact is there: %t, %v", got, err)
	}
	if got, err := shelf.Has(t.Context(), "vi/team/debian:u2"); err != nil || !got {
		t.Errorf("the other artifact is there: %t, %v", got, err)
	}
	if _, err := shelf.Has(t.Context(), "vi/team/debian"); err == nil {
		t.Error("a name without a tag was accepted")
	}

	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := shelf.Has(t.Context(), "vi/team/debian:u2"); err == nil {
		t.Error("a registry that is away must be an error, not an absent artifact")
	}
	if err := shelf.Remove(t.Context(), "vi/team/debian:u2"); err == nil {
		t.Error("nothing can be removed from a registry that is away")
	}
}

// put pushes a manifest of its own under a tag.
func put(t *testing.T, client *registry.Client, repository, tag string) {
	t.Helper()
	target, err := client.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(t.Context(), target, oras.PackManifestVersion1_1, "application/vnd.slipway.test", oras.PackManifestOptions{
		ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "2026-03-01T12:00:00Z", "tag": tag},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
}

// pushDisk stores an empty disk of 1 MiB under a tag.
func pushDisk(t *testing.T, client *registry.Client, repository, tag string) {
	t.Helper()
	target, err := client.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	source := disk.NewStream(bytes.NewReader(make([]byte, 1<<20)), 1<<20)
	describe := func() disk.SourceConfig { return disk.SourceConfig{Format: "raw"} }
	if _, err := disk.Push(t.Context(), source, target, tag, disk.PushOptions{Describe: describe}); err != nil {
		t.Fatal(err)
	}
}

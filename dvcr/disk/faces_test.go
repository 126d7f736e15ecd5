package disk_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
)

// TestAddFaces adds faces to a tag that leads to an index, and to one that leads to the disk's manifest itself.
func TestAddFaces(t *testing.T) {
	raw := makeContent(region{1, mib}, region{0, mib}, region{2, mib})
	store := memory.New()
	push(t, raw, store, "index", disk.PushOptions{})
	manifest, _ := manifestOf(t, store, "index")
	bare := ocispec.Descriptor{MediaType: manifest.MediaType, Digest: manifest.Digest, Size: manifest.Size} // as registries tell of it
	if err := store.Tag(t.Context(), bare, "manifest"); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"index", "manifest"} {
		info, err := disk.AddFaces(t.Context(), store, tag, disk.Materializer{Target: store}, "")
		if err != nil {
			t.Fatal(err)
		}
		again, err := disk.Inspect(t.Context(), store, tag)
		if err != nil {
			t.Fatalf("%s: what AddFaces made cannot be read: %v", tag, err)
		}
		if diff := cmp.Diff(disk.FaceKinds(), again.Faces); diff != "" || info.Digest != again.Digest {
			t.Errorf("%s: %s and %s, faces (-want +got):\n%s", tag, info.Digest, again.Digest, diff)
		}
		sameContent(t, restore(t, store, tag), raw)
	}
	if _, err := disk.AddFaces(t.Context(), store, manifest.Digest.String(), disk.Materializer{Target: store}, ""); !errors.Is(err, disk.ErrUnsupported) {
		t.Errorf("faces for a digest: %v, want %v", err, disk.ErrUnsupported)
	}
}

package registry_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3/s3test"
)

// TestCVE_2026_41888: whoever may not delete must not do so by the name of a tag either.
func TestCVE_2026_41888(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		s := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		put(t, s.Client(), "vi/team/debian", "v1", "bits")
		for name, user := range map[string]registry.Credentials{
			"nobody": {}, "reader": s.Reader(), "reader of the namespace": s.Key().ReaderOf("team"),
			"writer elsewhere": s.Key().WriterOf("other"), "importer of it": s.Key().ImporterOf("vi/team/debian"),
		} {
			if code := remove(t, s, user, "vi/team/debian/manifests/v1"); code != http.StatusUnauthorized && code != http.StatusForbidden {
				t.Errorf("%s deletes a tag: %d", name, code)
			}
		}
		if _, err := get(t.Context(), s.Client(), "vi/team/debian", "v1"); err != nil {
			t.Errorf("the tag is gone: %v", err)
		}
		if code := remove(t, s, s.Key().WriterOf("team"), "vi/team/debian/manifests/v1"); code != http.StatusAccepted {
			t.Errorf("who may delete the tag gets %d", code)
		}
	})
}

// TestCVE_2026_35172: a blob that was deleted from a repository stays so, even after it was read from another one.
func TestCVE_2026_35172(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		s := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		blob := ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromString("bits"), Size: 4}
		fetch := func(repository string) error {
			repo, err := s.Client().Repository(repository)
			if err != nil {
				t.Fatal(err)
			}
			body, err := repo.Blobs().Fetch(t.Context(), blob)
			if err == nil {
				_ = body.Close()
			}
			return err
		}
		for _, repository := range []string{"vi/team/debian", "vi/other/debian"} {
			put(t, s.Client(), repository, "v1", "bits")
			if err := fetch(repository); err != nil {
				t.Fatal(err)
			}
		}
		if code := remove(t, s, s.Credentials(), "vi/team/debian/blobs/"+blob.Digest.String()); code != http.StatusAccepted {
			t.Fatalf("delete the blob: %d", code)
		}
		for range 2 {
			if err := fetch("vi/team/debian"); !errors.Is(err, errdef.ErrNotFound) {
				t.Errorf("read the deleted blob: %v, want ErrNotFound", err)
			}
			if err := fetch("vi/other/debian"); err != nil {
				t.Errorf("read it where it was not deleted: %v", err)
			}
		}
	})
}

// remove asks for a deletion and returns the answer.
func remove(t *testing.T, s *registry.Server, user registry.Credentials, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+s.Addr()+"/v2/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != (registry.Credentials{}) {
		r.SetBasicAuth(user.Username, user.Password)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

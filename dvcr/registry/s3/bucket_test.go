package s3_test

import (
	"encoding/xml"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3"
	"slipway.dev/slipway/dvcr/registry/s3/s3test"
)

func TestRefused(t *testing.T) {
	there := s3test.NewBucket(t)
	elsewhere := there
	elsewhere.Name = "missing"
	cases := map[string]struct {
		bucket s3.Bucket
		want   string
	}{
		"no bucket":                  {s3.Bucket{Endpoint: there.Endpoint}, "no bucket"},
		"an endpoint without scheme": {s3.Bucket{Name: "dvcr", Endpoint: "s3.example.com"}, "is a URL"},
		"a bucket that is not there": {elsewhere, "NoSuchBucket"},
		"a region that is not there": {s3.Bucket{Name: "dvcr", Region: "moon-1"}, "invalid region"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storage, err := c.bucket.Storage()
			if err == nil {
				_, err = registry.NewServer(registry.Config{Dir: t.TempDir(), Storage: storage})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %q", err, c.want)
			}
		})
	}
}

// TestBlobsLieUnderThePrefix looks at the bucket past the driver, and at the directory that has to hold no blob.
func TestBlobsLieUnderThePrefix(t *testing.T) {
	bucket, dir := s3test.NewBucket(t), t.TempDir()
	push(t, bucket, dir)
	resp, err := http.Get(bucket.Endpoint + "/" + bucket.Name + "?list-type=2")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var listed struct {
		Contents []struct{ Key string }
	}
	if err := xml.NewDecoder(resp.Body).Decode(&listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Contents) == 0 {
		t.Error("the bucket is empty")
	}
	for _, object := range listed.Contents {
		if !strings.HasPrefix(object.Key, bucket.Prefix+"/") {
			t.Errorf("%s lies outside %s", object.Key, bucket.Prefix)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "registry")); !os.IsNotExist(err) {
		t.Errorf("there are blobs in the directory: %v", err)
	}
}

// TestTrustedCertificates reaches a server by HTTPS, with its certificate in AWS_CA_BUNDLE and without.
func TestTrustedCertificates(t *testing.T) {
	bucket, ca := s3test.NewTLSBucket(t)
	storage, err := bucket.Storage()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Storage: storage}); err == nil {
		t.Error("a certificate that nobody vouches for is taken")
	}
	bundle := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(bundle, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	push(t, bucket, t.TempDir())
}

// push stores a blob through a registry that keeps it in the bucket.
func push(t *testing.T, bucket s3.Bucket, dir string) {
	t.Helper()
	storage, err := bucket.Storage()
	if err != nil {
		t.Fatal(err)
	}
	server, err := registry.NewServer(registry.Config{Dir: dir, Storage: storage})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Close(t.Context())
	repo, err := server.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte("bits")); err != nil {
		t.Fatal(err)
	}
}

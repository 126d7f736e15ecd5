// Package s3test has an S3 server in this process, for tests.
package s3test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3"
)

// NewBucket returns an empty bucket, of a server that lives as long as the test, and sets the login in the environment. The server
// checks no login.
func NewBucket(t *testing.T) s3.Bucket {
	t.Helper()
	server := httptest.NewServer(newHandler(t))
	t.Cleanup(server.Close)
	return s3.Bucket{Name: bucketName, Endpoint: server.URL, Prefix: "team/blobs"}
}

// NewTLSBucket is NewBucket on a server that speaks HTTPS, with the certificate that its clients have to trust, in PEM.
func NewTLSBucket(t *testing.T) (bucket s3.Bucket, ca []byte) {
	t.Helper()
	server := httptest.NewTLSServer(newHandler(t))
	t.Cleanup(server.Close)
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return s3.Bucket{Name: bucketName, Endpoint: server.URL}, ca
}

const bucketName = "dvcr"

func newHandler(t *testing.T) http.Handler {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucketName); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "slipway")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return gofakes3.New(backend).Server()
}

// NewStorage is NewBucket for a registry's configuration.
func NewStorage(t *testing.T) *registry.Storage {
	t.Helper()
	storage, err := NewBucket(t).Storage()
	if err != nil {
		t.Fatal(err)
	}
	return storage
}

// OnEach runs a test on each kind of storage. Nil is the file system.
func OnEach(t *testing.T, run func(t *testing.T, storage *registry.Storage)) {
	t.Helper()
	t.Run("file system", func(t *testing.T) { run(t, nil) })
	t.Run("S3", func(t *testing.T) { run(t, NewStorage(t)) })
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	storagemiddleware "github.com/distribution/distribution/v3/registry/storage/driver/middleware"
	"github.com/opencontainers/go-digest"
)

// Where the library keeps what, see its package storage.
const (
	blobsRoot        = "/docker/registry/v2/blobs"
	repositoriesRoot = "/docker/registry/v2/repositories"
)

func blobPath(d digest.Digest) string {
	return path.Join(blobsRoot, d.Algorithm().String(), d.Encoded()[:2], d.Encoded())
}

func dataPath(d digest.Digest) string { return blobPath(d) + "/data" }

func repositoryPath(name string, more ...string) string {
	return path.Join(append([]string{repositoriesRoot, name}, more...)...)
}

func digestPath(d digest.Digest) string { return d.Algorithm().String() + "/" + d.Encoded() }

func layerLink(repository string, d digest.Digest) string {
	return repositoryPath(repository, "_layers", digestPath(d), "link")
}

func revisionLink(repository string, d digest.Digest) string {
	return repositoryPath(repository, "_manifests/revisions", digestPath(d), "link")
}

// dataDigest returns which blob a path is the data of.
func dataDigest(p string) (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(p, blobsRoot+"/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 4 || parts[3] != "data" {
		return "", false
	}
	d := digest.NewDigestFromEncoded(digest.Algorithm(parts[0]), parts[2])
	return d, d.Validate() == nil
}

// notFound reports whether a driver says that there is nothing at a path.
func notFound(err error) bool {
	var missing storagedriver.PathNotFoundError
	return errors.As(err, &missing)
}

// ourStorage is the name under which the storage that also holds virtual blobs is known to the library.
const ourStorage = "slipway-faces"

// registerStorage adds it to the library's table, which is one per process. Each server hands its shelf in by parameter.
var registerStorage = sync.OnceValue(func() error {
	return storagemiddleware.Register(ourStorage,
		func(_ context.Context, d storagedriver.StorageDriver, options map[string]any) (storagedriver.StorageDriver, error) {
			shelf := options["shelf"].(*shelf) //nolint:errcheck,forcetypeassert // appConfig puts it there
			shelf.driver = d
			return virtualDriver{d, shelf}, nil
		})
})

// virtualDriver answers for blobs that have a recipe instead of data: the library then serves them like any other, whole or in
// parts, mounts them, and lets manifests name them.
type virtualDriver struct {
	storagedriver.StorageDriver
	shelf *shelf
}

// Stat implements storagedriver.StorageDriver.
func (d virtualDriver) Stat(ctx context.Context, p string) (storagedriver.FileInfo, error) {
	info, err := d.StorageDriver.Stat(ctx, p)
	blob, ok := dataDigest(p)
	if !ok || !notFound(err) {
		return info, err //nolint:wrapcheck // the library compares these errors
	}
	r, modified, recipeErr := d.shelf.recipe(ctx, blob)
	if notFound(recipeErr) {
		return nil, err //nolint:wrapcheck // see above
	}
	if recipeErr != nil {
		return nil, recipeErr
	}
	return storagedriver.FileInfoInternal{FileInfoFields: storagedriver.FileInfoFields{Path: p, Size: r.Size, ModTime: modified}}, nil
}

// Reader implements storagedriver.StorageDriver.
func (d virtualDriver) Reader(ctx context.Context, p string, off int64) (io.ReadCloser, error) {
	body, err := d.StorageDriver.Reader(ctx, p, off)
	blob, ok := dataDigest(p)
	if !ok || !notFound(err) {
		return body, err //nolint:wrapcheck // the library compares these errors
	}
	r, _, recipeErr := d.shelf.recipe(ctx, blob)
	if notFound(recipeErr) {
		return nil, err //nolint:wrapcheck // see above
	}
	if recipeErr != nil {
		return nil, recipeErr
	}
	face, err := d.shelf.face(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("lay out virtual blob %s: %w", blob, err)
	}
	if off > face.Size {
		return nil, storagedriver.InvalidOffsetError{Path: p, Offset: off, DriverName: d.Name()}
	}
	return face.Open(ctx, d.shelf, off) //nolint:wrapcheck // see above
}

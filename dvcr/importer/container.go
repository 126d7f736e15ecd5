package importer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

// diskDir is where a containerDisk keeps its image.
const diskDir = "disk"

// Media types of Docker's manifests, which are otherwise like OCI's.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// importContainer imports a disk that a container registry holds.
func (t *task) importContainer(ctx context.Context, s *RegistrySource, policy egress.Policy) (*Result, error) {
	repo, ref, err := openRepository(s, policy)
	if err != nil {
		return nil, err
	}
	root, err := repo.Resolve(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", s.Image, requestError(err))
	}
	info, err := disk.Inspect(ctx, repo, ref)
	switch {
	case err == nil:
		return t.copyDisk(ctx, repo, ref, info)
	case !errors.Is(err, disk.ErrNotArtifact):
		return nil, fmt.Errorf("read %s: %w", s.Image, containerError(err))
	}
	manifest, err := t.containerManifest(ctx, repo, root)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Image, err)
	}
	for _, layer := range manifest.Layers {
		result, err := t.importLayer(ctx, repo, layer, s.Image)
		if errors.Is(err, errNoDisk) {
			continue
		}
		return result, err
	}
	return nil, fmt.Errorf("read %s: %w: none of its %d layers holds a file in /%s, as a containerDisk does",
		s.Image, ErrNotDiskImage, len(manifest.Layers), diskDir)
}

// containerError classifies an error of package disk that concerns the source and not DVCR.
func containerError(err error) error {
	switch {
	case errors.Is(err, disk.ErrTarget):
		return requestError(err)
	case errors.Is(err, disk.ErrUnsupported):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("%w, or a damaged one: %w", ErrNotDiskImage, err)
}

// openRepository returns the repository that an image is in, and its tag or digest.
func openRepository(s *RegistrySource, policy egress.Policy) (*remote.Repository, string, error) {
	named, err := reference.ParseDockerRef(strings.TrimPrefix(s.Image, "docker://"))
	if err != nil {
		return nil, "", fmt.Errorf("%w: image %q is not a reference such as registry.example.com/team/debian:12: %w", ErrInvalidSource, s.Image, err)
	}
	client, err := newHTTPClient(policy, s.CABundle)
	if err != nil {
		return nil, "", err
	}
	credentials := registry.Credentials{Username: s.Username, Password: s.Password}
	repo, err := registry.NewClient(reference.Domain(named), credentials, registry.WithTransport(client.Transport)).Repository(reference.Path(named))
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalidSource, err)
	}
	switch r := named.(type) {
	case reference.Digested:
		return repo, r.Digest().String(), nil
	case reference.Tagged:
		return repo, r.Tag(), nil
	}
	return repo, "latest", nil
}

// copyDisk copies a disk that is stored as DVCR stores it: frame by frame the same, whatever registry it comes from.
func (t *task) copyDisk(ctx context.Context, from *remote.Repository, ref string, info disk.Info) (*Result, error) {
	if info.Config.VirtualSize > t.options.MaxVirtualSize {
		return nil, fmt.Errorf("copy disk: %w: %d bytes, the limit is %d", ErrTooLarge, info.Config.VirtualSize, t.options.MaxVirtualSize)
	}
	t.meter.begin(0, info.StoredSize)
	var copied atomic.Int64
	o := oras.CopyOptions{CopyGraphOptions: oras.CopyGraphOptions{Concurrency: 2}}
	done := func(_ context.Context, d ocispec.Descriptor) error {
		n := copied.Add(d.Size)
		t.meter.downloaded(n)
		t.meter.consumed(n)
		return nil
	}
	o.PostCopy, o.OnCopySkipped = done, done
	if _, err := oras.Copy(ctx, from, ref, t.repo, t.tag, o); err != nil {
		return nil, fmt.Errorf("copy disk: %w", copyError(err))
	}
	return resultOf(info, t.meter.average()), nil
}

// copyError tells which of the two registries failed.
func copyError(err error) error {
	var failed *oras.CopyError
	if errors.As(err, &failed) && failed.Origin == oras.CopyErrorOriginDestination {
		return classify(fmt.Errorf("%w: %w", disk.ErrTarget, err))
	}
	if errors.Is(err, content.ErrMismatchedDigest) {
		return fmt.Errorf("%w, or a damaged one: %w", ErrNotDiskImage, err)
	}
	return requestError(err)
}

// maxManifest is what registries accept as well.
const maxManifest = 4 << 20

// containerManifest returns the manifest of an image, for this architecture where there are several.
func (t *task) containerManifest(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) (*ocispec.Manifest, error) {
	if desc.MediaType == dockerIndex || desc.MediaType == ocispec.MediaTypeImageIndex {
		var index ocispec.Index
		if err := fetchJSON(ctx, repo, desc, &index); err != nil {
			return nil, err
		}
		var err error
		if desc, err = choosePlatform(index.Manifests, t.options.Architecture); err != nil {
			return nil, err
		}
	}
	if desc.MediaType != dockerManifest && desc.MediaType != ocispec.MediaTypeImageManifest {
		return nil, fmt.Errorf("%w: it is of type %s, not an image", ErrNotDiskImage, desc.MediaType)
	}
	var manifest ocispec.Manifest
	return &manifest, fetchJSON(ctx, repo, desc, &manifest)
}

// choosePlatform returns the entry for an architecture. An index of one entry may leave the platform out.
func choosePlatform(entries []ocispec.Descriptor, architecture string) (ocispec.Descriptor, error) {
	var have []string
	for _, e := range entries {
		if e.Platform == nil {
			if len(entries) == 1 {
				return e, nil
			}
			continue
		}
		if e.Platform.Architecture == architecture && (e.Platform.OS == "linux" || e.Platform.OS == "") {
			return e, nil
		}
		have = append(have, e.Platform.OS+"/"+e.Platform.Architecture)
	}
	return ocispec.Descriptor{}, fmt.Errorf("%w: it has no image for linux/%s, only for %s", ErrNotFound, architecture, strings.Join(have, ", "))
}

func fetchJSON(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, into any) error {
	if desc.Size > maxManifest {
		return fmt.Errorf("%w: its manifest is %d bytes long", ErrNotDiskImage, desc.Size)
	}
	b, err := content.FetchAll(ctx, repo, desc)
	if err != nil {
		return requestError(err)
	}
	return decodeJSON(b, into)
}

// errNoDisk says that a layer holds no disk; the next one may.
var errNoDisk = errors.New("no file under /" + diskDir)

// importLayer imports the first file under /disk of a layer.
func (t *task) importLayer(ctx context.Context, repo *remote.Repository, layer ocispec.Descriptor, image string) (*Result, error) {
	if layer.Digest.Algorithm() != "sha256" {
		return nil, fmt.Errorf("%w: layer %s is not named by a sha256 digest", ErrUnsupported, layer.Digest)
	}
	sums, err := newChecksums(layer.Digest.Encoded(), "")
	if err != nil {
		return nil, err
	}
	return t.importOrigin(ctx, &blobOrigin{from: repo, desc: layer, name: image}, sums, openDisk)
}

// openDisk finds the disk in an unpacked layer.
func openDisk(layer io.Reader) (io.Reader, error) {
	files := tar.NewReader(layer)
	for first := true; ; first = false {
		h, err := files.Next()
		switch {
		case errors.Is(err, io.EOF), first && (errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)):
			return nil, errNoDisk // no archive, or one without a disk
		case err != nil && (isClassified(err) || isCanceled(err)):
			return nil, err //nolint:wrapcheck // the source's own error
		case err != nil:
			return nil, fmt.Errorf("%w: the layer is damaged: %w", ErrNotDiskImage, err)
		}
		if h.Typeflag == tar.TypeReg && isDiskFile(h.Name) {
			return files, nil
		}
	}
}

func isDiskFile(name string) bool {
	dir, file := path.Split(strings.TrimPrefix(path.Clean("/"+name), "/"))
	return dir == diskDir+"/" && !strings.HasPrefix(file, ".wh.")
}

package importer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
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
	if err := checkSignatures(ctx, s, repo, root, policy); err != nil {
		return nil, err
	}
	ref = root.Digest.String() // the tag may move, what was signed does not
	info, err := disk.Inspect(ctx, repo, ref)
	switch {
	case err == nil:
		return t.copyDisk(ctx, repo, ref, info)
	case !errors.Is(err, disk.ErrNotArtifact):
		return nil, fmt.Errorf("read %s: %w", s.Image, containerError(err))
	}
	manifests, err := t.manifests(ctx, repo, root)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Image, err)
	}
	layers := 0
	for _, m := range manifests {
		result, err := t.importManifest(ctx, repo, m, s.Image)
		if !errors.Is(err, errNoDisk) {
			return result, err
		}
		layers += len(m.Layers)
	}
	return nil, fmt.Errorf("read %s: %w: none of its %d layers is a disk image, or holds a file in /%s as a containerDisk does",
		s.Image, ErrNotDiskImage, layers, diskDir)
}

// importManifest imports the first layer that is a disk, or holds one.
func (t *task) importManifest(ctx context.Context, repo *remote.Repository, m *ocispec.Manifest, image string) (*Result, error) {
	if err := oneDisk(m.Layers); err != nil {
		return nil, fmt.Errorf("read %s: %w", image, err)
	}
	for _, layer := range m.Layers {
		result, err := t.importLayer(ctx, repo, layer, image)
		if !errors.Is(err, errNoDisk) {
			return result, err
		}
	}
	return nil, errNoDisk
}

// kubeVirtDisk is the type of the layers in which KubeVirt exports disks, kubeVirtName the annotation that names them.
const (
	kubeVirtDisk = "application/vnd.kubevirt.disk.raw+zstd"
	kubeVirtName = "io.kubevirt.disk.name"
)

// oneDisk refuses an exported machine with several disks: nobody said which is meant.
func oneDisk(layers []ocispec.Descriptor) error {
	var names []string
	for _, l := range layers {
		if l.MediaType == kubeVirtDisk {
			names = append(names, cmp.Or(l.Annotations[kubeVirtName], l.Digest.String()))
		}
	}
	if len(names) > 1 {
		return fmt.Errorf("%w: it holds %d disks (%s); push the one that is wanted as an artifact of its own",
			ErrUnsupported, len(names), strings.Join(names, ", "))
	}
	return nil
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
	repo, err := registry.NewClient(reference.Domain(named), credentials, registry.WithTransport(patient{client.Transport})).Repository(reference.Path(named))
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
	done := func(_ context.Context, d ocispec.Descriptor) error {
		n := copied.Add(d.Size)
		t.meter.downloaded(n)
		t.meter.consumed(n)
		return nil
	}
	o := oras.CopyGraphOptions{Concurrency: 2, PostCopy: done, OnCopySkipped: done}
	result, err := t.copyArtifact(ctx, verifying{from}, ref, o)
	if err != nil {
		return nil, fmt.Errorf("copy disk: %w", copyError(err))
	}
	return result, nil
}

// copyError tells which of the two registries failed.
func copyError(err error) error {
	if errors.Is(err, ErrNotDiskImage) {
		return err
	}
	var failed *oras.CopyError
	if errors.As(err, &failed) && failed.Origin == oras.CopyErrorOriginDestination {
		return classify(fmt.Errorf("%w: %w", disk.ErrTarget, err))
	}
	return requestError(err)
}

// verifying is a registry whose blobs are compared with their digests while they are read, so that the other registry is not
// blamed for them.
type verifying struct{ oras.ReadOnlyTarget }

// Fetch implements content.Fetcher.
func (v verifying) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	body, err := v.ReadOnlyTarget.Fetch(ctx, desc)
	if err != nil {
		return nil, err //nolint:wrapcheck // copyError tells what it is
	}
	return &verifiedBlob{Closer: body, content: content.NewVerifyReader(body, desc), digest: desc.Digest.String()}, nil
}

type verifiedBlob struct {
	io.Closer
	content *content.VerifyReader
	digest  string
}

func (b *verifiedBlob) Read(p []byte) (int, error) {
	n, err := b.content.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err //nolint:wrapcheck // a reader passes errors on
	}
	if verifyErr := b.content.Verify(); verifyErr != nil {
		return n, fmt.Errorf("%w, or a damaged one: the registry gives other content for %s: %w", ErrNotDiskImage, b.digest, verifyErr)
	}
	return n, io.EOF
}

// maxManifest is what registries accept as well.
const maxManifest = 4 << 20

// manifests returns the manifests that may hold the disk: that of an image, or those of an index for this architecture.
func (t *task) manifests(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]*ocispec.Manifest, error) {
	chosen := []ocispec.Descriptor{desc}
	if desc.MediaType == dockerIndex || desc.MediaType == ocispec.MediaTypeImageIndex {
		var index ocispec.Index
		if err := fetchJSON(ctx, repo, desc, &index); err != nil {
			return nil, err
		}
		var err error
		if chosen, err = choosePlatform(index.Manifests, t.options.Architecture); err != nil {
			return nil, err
		}
	}
	var out []*ocispec.Manifest
	for _, d := range chosen {
		if d.MediaType != dockerManifest && d.MediaType != ocispec.MediaTypeImageManifest {
			return nil, fmt.Errorf("%w: it is of type %s, not an image", ErrNotDiskImage, d.MediaType)
		}
		var m ocispec.Manifest
		if err := fetchJSON(ctx, repo, d, &m); err != nil {
			return nil, err
		}
		out = append(out, &m)
	}
	return out, nil
}

// maxEntries is how many entries of an index are looked at: an image for one architecture comes as a few at most, such as
// the same disk in several formats.
const maxEntries = 8

// choosePlatform returns the entries for an architecture, or, when none names any, those without a platform.
func choosePlatform(entries []ocispec.Descriptor, architecture string) ([]ocispec.Descriptor, error) {
	var fit, open []ocispec.Descriptor
	var have []string
	for _, e := range entries {
		switch p := e.Platform; {
		case p == nil || p.Architecture == "" || p.Architecture == "unknown":
			open = append(open, e)
		case p.Architecture == architecture && (p.OS == "linux" || p.OS == ""):
			fit = append(fit, e)
		default:
			have = append(have, p.OS+"/"+p.Architecture)
		}
	}
	if len(fit) == 0 && len(have) == 0 {
		fit = open
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("%w: it has no image for linux/%s, only for %s", ErrNotFound, architecture, cmp.Or(strings.Join(have, ", "), "nothing"))
	}
	return fit[:min(len(fit), maxEntries)], nil
}

func fetchJSON(ctx context.Context, repo content.Fetcher, desc ocispec.Descriptor, into any) error {
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

// importLayer imports a layer that is a disk image, or the first file under /disk of one that is an archive.
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

// openDisk finds the disk in an unpacked layer: the layer itself, or a file of the archive that it is.
func openDisk(layer io.Reader) (disk io.Reader, plain bool, err error) {
	whole := bufio.NewReaderSize(layer, sniffSize)
	head, err := whole.Peek(sniffSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, layerError(err)
	}
	if !isArchive(head) {
		if _, err := sniffFormat(head); errors.Is(err, ErrNotDiskImage) {
			return nil, false, errNoDisk
		}
		return whole, true, nil
	}
	disk, err = findDisk(whole)
	return disk, false, err
}

// isArchive tells whether data begins with a tar header, whose checksum tells it from a boot sector.
func isArchive(head []byte) bool {
	_, err := tar.NewReader(bytes.NewReader(head)).Next()
	return err == nil
}

func findDisk(archive io.Reader) (io.Reader, error) {
	files := tar.NewReader(archive)
	for {
		h, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errNoDisk
		case err != nil:
			return nil, layerError(err)
		}
		if h.Typeflag == tar.TypeReg && isDiskFile(h.Name) {
			return files, nil
		}
	}
}

func layerError(err error) error {
	if isClassified(err) || isCanceled(err) {
		return err
	}
	return fmt.Errorf("%w: the layer is damaged: %w", ErrNotDiskImage, err)
}

func isDiskFile(name string) bool {
	dir, file := path.Split(strings.TrimPrefix(path.Clean("/"+name), "/"))
	return dir == diskDir+"/" && !strings.HasPrefix(file, ".wh.")
}

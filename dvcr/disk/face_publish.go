package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
)

// AnnotationFace marks the descriptor of a face in the index.
const AnnotationFace = "dev.slipway.disk.face"

// Annotations and labels that readers of the faces know.
const (
	annotationDiskName = "io.kubevirt.disk.name"
	annotationCapacity = "io.kubevirt.pvc.capacity"

	labelVirtualSize = "source-image-virtual-size"
	labelFormat      = "source-image-format"
)

// FaceBlob is the blob of a face, there to be named.
type FaceBlob struct {
	Kind FaceKind `json:"kind"`
	FaceDigest
}

// FaceMaker brings the blobs of a stored disk's faces into the repository that holds its manifest.
type FaceMaker interface {
	MakeFaces(ctx context.Context, manifest ocispec.Descriptor) ([]FaceBlob, error)
}

// AddFaces gives the disk stored under ref, a tag, its faces and moves the tag to an index that lists them. It changes nothing
// else. The tag may lead to the disk's index or to its manifest itself.
func AddFaces(ctx context.Context, to oras.Target, ref string, faces FaceMaker, architecture string) (Info, error) {
	if _, err := digest.Parse(ref); err == nil {
		return Info{}, fmt.Errorf("add faces to %s: %w: a digest stands for what it names for ever; name a tag", ref, ErrUnsupported)
	}
	a, err := load(ctx, to, ref)
	if err != nil {
		return Info{}, fmt.Errorf("add faces: %w", err)
	}
	if err := (publication{to: to, ref: ref, faces: faces, arch: architecture}).tag(ctx, a); err != nil {
		return Info{}, fmt.Errorf("add faces to %s: %w", ref, err)
	}
	return a.info(), nil
}

// pushFaces makes the faces and stores their manifests.
func (p publication) pushFaces(ctx context.Context, a *artifact) ([]ocispec.Descriptor, error) {
	made, err := p.faces.MakeFaces(ctx, a.desc)
	if err != nil {
		return nil, err //nolint:wrapcheck // names what failed
	}
	var all []ocispec.Descriptor
	a.faces = nil
	for _, kind := range FaceKinds() {
		for _, f := range made {
			if f.Kind != kind {
				continue
			}
			desc, err := p.pushFace(ctx, a, f)
			if err != nil {
				return nil, fmt.Errorf("publish face %s: %w", kind, err)
			}
			all = append(all, desc)
			a.faces = append(a.faces, kind)
		}
	}
	return all, nil
}

func (p publication) pushFace(ctx context.Context, a *artifact, f FaceBlob) (ocispec.Descriptor, error) {
	layer := ocispec.Descriptor{MediaType: f.Kind.MediaType(), Digest: f.Blob, Size: f.Size}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Layers:    []ocispec.Descriptor{layer},
	}
	var err error
	platform := &ocispec.Platform{Architecture: "unknown", OS: "unknown"}
	if f.Kind == FaceContainerDisk {
		image := p.containerConfig(a, f)
		platform = &image.Platform
		m.Config, err = pushJSON(ctx, p.to, ocispec.MediaTypeImageConfig, image)
	} else {
		m.ArtifactType = RawDiskMediaType
		m.Config = ocispec.DescriptorEmptyJSON
		m.Config.Data = nil
		m.Layers[0].Annotations = map[string]string{
			annotationDiskName: "disk",
			annotationCapacity: strconv.FormatInt(a.config.VirtualSize, 10),
		}
		err = pushBytes(ctx, p.to, m.Config, ocispec.DescriptorEmptyJSON.Data)
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, err := pushJSON(ctx, p.to, ocispec.MediaTypeImageManifest, m)
	desc.ArtifactType = m.ArtifactType
	desc.Platform = platform
	desc.Annotations = map[string]string{AnnotationFace: string(f.Kind)}
	return desc, err
}

// containerConfig is the config of a container image with nothing but the disk in it.
func (p publication) containerConfig(a *artifact, f FaceBlob) ocispec.Image {
	arch := p.arch
	if arch == "" {
		arch = "amd64"
	}
	return ocispec.Image{
		Platform: ocispec.Platform{Architecture: arch, OS: "linux"},
		Config: ocispec.ImageConfig{Labels: map[string]string{
			labelVirtualSize: strconv.FormatInt(a.config.VirtualSize, 10),
			labelFormat:      "raw",
		}},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{f.Content}},
	}
}

// Materializer is the FaceMaker for registries that are not DVCR: it stores the faces as blobs of their own. It reads the packs
// from the registry and sends them back, twice, and needs no scratch space.
type Materializer struct {
	Target oras.Target
	// Kinds to make; empty means all.
	Kinds []FaceKind
}

// MakeFaces implements FaceMaker.
func (m Materializer) MakeFaces(ctx context.Context, manifest ocispec.Descriptor) ([]FaceBlob, error) {
	a := &artifact{root: manifest, desc: manifest}
	if err := a.read(ctx, m.Target); err != nil {
		return nil, fmt.Errorf("materialize faces of %s: %w", manifest.Digest, err)
	}
	kinds := sortedFaces(m.Kinds)
	if len(kinds) == 0 {
		kinds = FaceKinds()
	}
	var made []FaceBlob
	for _, kind := range kinds {
		blob, err := m.make(ctx, a, kind)
		if err != nil {
			return nil, fmt.Errorf("materialize face %s of %s: %w", kind, manifest.Digest, err)
		}
		made = append(made, blob)
	}
	return made, nil
}

func (m Materializer) make(ctx context.Context, a *artifact, kind FaceKind) (FaceBlob, error) {
	face, err := NewFace(&Table{a.table}, kind)
	if err != nil {
		return FaceBlob{}, err
	}
	packs := targetPacks{from: m.Target, table: a.table}
	d, err := face.Digest(ctx, packs)
	if err != nil {
		return FaceBlob{}, err
	}
	desc := ocispec.Descriptor{MediaType: kind.MediaType(), Digest: d.Blob, Size: d.Size}
	exists, err := m.Target.Exists(ctx, desc)
	if err != nil {
		return FaceBlob{}, targetError("look for "+desc.Digest.String(), err)
	}
	if exists {
		return FaceBlob{kind, d}, nil
	}
	body, err := face.Open(ctx, packs, 0)
	if err != nil {
		return FaceBlob{}, err
	}
	err = m.Target.Push(ctx, desc, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return FaceBlob{}, targetError("upload "+desc.Digest.String(), err)
	}
	return FaceBlob{kind, d}, nil
}

// targetPacks reads packs from a registry.
type targetPacks struct {
	from  oras.ReadOnlyTarget
	table *table
}

// OpenPack implements Packs.
func (t targetPacks) OpenPack(ctx context.Context, d digest.Digest, off, n int64) (io.ReadCloser, error) {
	for _, p := range t.table.packs {
		if p.digest == d {
			s := newPackStream(t.from, p, n*100 < p.size*wholeShare)
			if err := s.seek(ctx, off, off+n); err != nil {
				s.close()
				return nil, err
			}
			return s.body, nil
		}
	}
	return nil, fmt.Errorf("open pack %s: %w: the table names no such pack", d, ErrCorrupt)
}

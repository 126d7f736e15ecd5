package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// Media types of the artifact and its blobs.
const (
	ArtifactType    = "application/vnd.slipway.disk.v1"
	ConfigMediaType = "application/vnd.slipway.disk.config.v1+json"
	TableMediaType  = "application/vnd.slipway.disk.toc.v1+zstd"
	PackMediaType   = "application/vnd.slipway.disk.pack.v1+zstd"
)

// Annotations of the manifest, for people who look at it with other tools.
const (
	AnnotationVirtualSize   = "dev.slipway.disk.virtual-size"
	AnnotationContentDigest = "dev.slipway.disk.content-digest"
)

// Limits on what is read into memory on a registry's word. The table of a full 16 TiB disk stays under the largest.
const (
	maxManifestSize = 4 << 20
	maxConfigSize   = 1 << 20
	maxTableSize    = 1 << 30
)

// Config is the artifact's config blob.
type Config struct {
	// LayoutVersion names the rules by which the disk was cut, see docs/disk-format.md.
	LayoutVersion int `json:"layoutVersion"`
	// VirtualSize is the length of the disk in bytes.
	VirtualSize int64 `json:"virtualSize"`
	// DataSize is how many of them are not in holes.
	DataSize int64 `json:"dataSize"`
	// ContentDigest names the content whatever its packing and compression.
	ContentDigest digest.Digest `json:"contentDigest"`
	// Chunker tells other readers how frames were cut; this package goes by LayoutVersion.
	Chunker ChunkerConfig `json:"chunker"`
	// Source tells what the disk was made from.
	Source SourceConfig `json:"source"`
}

// ChunkerConfig describes the cutting rules.
type ChunkerConfig struct {
	Algorithm string      `json:"algorithm"`
	Block     int         `json:"block"`
	MinHole   int         `json:"minHole"`
	Window    int         `json:"window"`
	Tiers     []TierLimit `json:"tiers"`
}

// TierLimit gives the chunk sizes below an offset; 0 means up to the end.
type TierLimit struct {
	Below int64 `json:"below,omitempty"`
	Min   int   `json:"min"`
	Avg   int   `json:"avg"`
	Max   int   `json:"max"`
}

// SourceConfig says what an image was before it was pushed.
type SourceConfig struct {
	// Format is the image format: raw, qcow2 or iso.
	Format string `json:"format,omitempty"`
	// Size is the length in bytes of what was read or downloaded.
	Size int64 `json:"size,omitempty"`
}

func chunkerConfig() ChunkerConfig {
	c := ChunkerConfig{Algorithm: "fastcdc-gear64", Block: blockSize, MinHole: minHole, Window: window}
	for _, t := range tiers {
		c.Tiers = append(c.Tiers, TierLimit{Below: t.below, Min: t.min, Avg: t.avg, Max: t.max})
	}
	return c
}

// artifact is an artifact's metadata, read and checked.
type artifact struct {
	root     ocispec.Descriptor // what the reference names: the index
	desc     ocispec.Descriptor // of manifest
	faces    []FaceKind         // that the index lists
	manifest ocispec.Manifest
	config   Config
	table    *table
}

// load reads the metadata that ref names, from the index down to the table of contents. Each piece is verified against
// the digest of the piece before.
func load(ctx context.Context, from oras.ReadOnlyTarget, ref string) (*artifact, error) {
	root, err := from.Resolve(ctx, ref)
	if err != nil {
		return nil, targetError(fmt.Sprintf("resolve %s", ref), err)
	}
	a := &artifact{root: root}
	if a.desc, a.faces, err = canonical(ctx, from, root); err != nil {
		return nil, err
	}
	if err := a.read(ctx, from); err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return a, nil
}

// read fills a from its manifest's descriptor.
func (a *artifact) read(ctx context.Context, from oras.ReadOnlyTarget) error {
	if err := fetchJSON(ctx, from, a.desc, maxManifestSize, &a.manifest); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	if err := checkManifest(&a.manifest); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	if err := fetchJSON(ctx, from, a.manifest.Config, maxConfigSize, &a.config); err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	toc, err := fetch(ctx, from, a.manifest.Layers[0], maxTableSize)
	if err != nil {
		return fmt.Errorf("read table of contents: %w", err)
	}
	if a.table, err = decodeTable(toc); err != nil {
		return err
	}
	return a.check()
}

// canonical finds the descriptor of the disk manifest: root itself, or its entry in the index that root names. It also returns
// the faces that stand beside it.
func canonical(ctx context.Context, from oras.ReadOnlyTarget, root ocispec.Descriptor) (ocispec.Descriptor, []FaceKind, error) {
	switch root.MediaType {
	case ocispec.MediaTypeImageManifest:
		return asEntry(root), nil, nil
	case ocispec.MediaTypeImageIndex:
	default:
		return root, nil, fmt.Errorf("read %s: %w: media type %s", root.Digest, ErrNotArtifact, root.MediaType)
	}
	var index ocispec.Index
	if err := fetchJSON(ctx, from, root, maxManifestSize, &index); err != nil {
		return root, nil, fmt.Errorf("read index %s: %w", root.Digest, err)
	}
	var faces []FaceKind
	for _, m := range index.Manifests {
		if kind, ok := m.Annotations[AnnotationFace]; ok {
			faces = append(faces, FaceKind(kind))
		}
	}
	for _, m := range index.Manifests {
		if m.ArtifactType == ArtifactType && m.MediaType == ocispec.MediaTypeImageManifest {
			return m, faces, nil
		}
	}
	return root, nil, fmt.Errorf("read index %s: %w: it lists no manifest of type %s", root.Digest, ErrNotArtifact, ArtifactType)
}

// asEntry describes a disk manifest as an index does. That it is one is checked when it is read.
func asEntry(manifest ocispec.Descriptor) ocispec.Descriptor {
	manifest.ArtifactType = ArtifactType
	manifest.Platform = &ocispec.Platform{Architecture: "unknown", OS: "unknown"}
	return manifest
}

func checkManifest(m *ocispec.Manifest) error {
	switch {
	case m.ArtifactType != ArtifactType || m.Config.MediaType != ConfigMediaType:
		return fmt.Errorf("%w: artifact type %q", ErrNotArtifact, m.ArtifactType)
	case len(m.Layers) == 0 || m.Layers[0].MediaType != TableMediaType:
		return fmt.Errorf("%w: the first layer is not a table of contents", ErrCorrupt)
	}
	for i, l := range m.Layers[1:] {
		if l.MediaType != PackMediaType {
			return fmt.Errorf("%w: layer %d is %q and not a pack", ErrCorrupt, i+1, l.MediaType)
		}
	}
	return nil
}

// check compares the pieces with each other: a table that belongs to other packs or another disk is found here.
func (a *artifact) check() error {
	packs := a.manifest.Layers[1:]
	same := slices.EqualFunc(packs, a.table.packs, func(l ocispec.Descriptor, p pack) bool {
		return l.Digest == p.digest && l.Size == p.size
	})
	switch {
	case a.config.LayoutVersion < oldestLayoutVersion || a.config.LayoutVersion > layoutVersion:
		return fmt.Errorf("%w: layout version %d, this program reads %d to %d", ErrUnsupported, a.config.LayoutVersion, oldestLayoutVersion, layoutVersion)
	case !same:
		return fmt.Errorf("%w: the table of contents and the manifest name different packs", ErrCorrupt)
	case a.config.VirtualSize != a.table.size:
		return fmt.Errorf("%w: the config says %d bytes, the table %d", ErrCorrupt, a.config.VirtualSize, a.table.size)
	case a.config.ContentDigest != a.table.contentDigest():
		return fmt.Errorf("%w: the table does not describe the content %s", ErrCorrupt, a.config.ContentDigest)
	}
	return nil
}

// fetch reads a whole blob and verifies its digest and size.
func fetch(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size > limit {
		return nil, fmt.Errorf("%w: %s is %d bytes long, over %d", ErrCorrupt, desc.Digest, desc.Size, limit)
	}
	b, err := content.FetchAll(ctx, from, desc)
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("fetch %s: %w: %w", desc.Digest, ErrCorrupt, err)
	}
	if err != nil {
		return nil, targetError("fetch "+desc.Digest.String(), err)
	}
	return b, nil
}

func fetchJSON(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor, limit int64, into any) error {
	b, err := fetch(ctx, from, desc, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, desc.Digest, err)
	}
	return nil
}

// publication is what a push ends with.
type publication struct {
	to    oras.Target
	ref   string
	faces FaceMaker // nil: none
	arch  string
}

// publish uploads the metadata and, as the very last thing, the tag: until then the reference names what it named before.
func (p publication) publish(ctx context.Context, config Config, toc []byte, t *table) (*artifact, error) {
	a := &artifact{config: config, table: t}
	configDesc, err := pushJSON(ctx, p.to, ConfigMediaType, config)
	if err != nil {
		return nil, err
	}
	tocDesc := content.NewDescriptorFromBytes(TableMediaType, toc)
	if err := pushBytes(ctx, p.to, tocDesc, toc); err != nil {
		return nil, err
	}
	a.manifest = newManifest(configDesc, tocDesc, config, t)
	if a.desc, err = pushJSON(ctx, p.to, ocispec.MediaTypeImageManifest, a.manifest); err != nil {
		return nil, err
	}
	a.desc = asEntry(a.desc)
	return a, p.tag(ctx, a)
}

// tag writes the index of an artifact whose manifest is stored, and moves the tag to it.
func (p publication) tag(ctx context.Context, a *artifact) error {
	manifests := []ocispec.Descriptor{a.desc}
	if p.faces != nil {
		faces, err := p.pushFaces(ctx, a)
		if err != nil {
			return err
		}
		manifests = append(manifests, faces...)
	}
	var err error
	a.root, err = pushJSON(ctx, p.to, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	})
	if err != nil {
		return err
	}
	if err := p.to.Tag(ctx, a.root, p.ref); err != nil {
		return targetError("tag "+p.ref, err)
	}
	return nil
}

func newManifest(config, toc ocispec.Descriptor, c Config, t *table) ocispec.Manifest {
	layers := []ocispec.Descriptor{toc}
	for _, p := range t.packs {
		layers = append(layers, ocispec.Descriptor{MediaType: PackMediaType, Digest: p.digest, Size: p.size})
	}
	return ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       config,
		Layers:       layers,
		Annotations: map[string]string{
			AnnotationVirtualSize:   strconv.FormatInt(c.VirtualSize, 10),
			AnnotationContentDigest: c.ContentDigest.String(),
		},
	}
}

func pushJSON(ctx context.Context, to oras.Target, mediaType string, v any) (ocispec.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	desc := content.NewDescriptorFromBytes(mediaType, b)
	return desc, pushBytes(ctx, to, desc, b)
}

func pushBytes(ctx context.Context, to oras.Target, desc ocispec.Descriptor, b []byte) error {
	return pushBlob(ctx, to, desc, func() io.Reader { return bytes.NewReader(b) })
}

// pushBlob uploads a blob unless the target has it.
func pushBlob(ctx context.Context, to oras.Target, desc ocispec.Descriptor, open func() io.Reader) error {
	exists, err := to.Exists(ctx, desc)
	if err != nil {
		return targetError("look for "+desc.Digest.String(), err)
	}
	if exists {
		return nil
	}
	err = to.Push(ctx, desc, open())
	if err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return targetError("upload "+desc.Digest.String(), err)
	}
	return nil
}

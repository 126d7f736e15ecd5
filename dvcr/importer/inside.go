package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/foreign"
)

// mountArtifact gives an image in DVCR another name. The registry links the blobs into the other repository; it is asked to
// take them again only where it cannot.
func (t *task) mountArtifact(ctx context.Context, registry Registry) (*Result, error) {
	name := t.job.Source.Artifact.Name
	repository, tag, err := splitDestination(name)
	if err != nil {
		return nil, err
	}
	from, err := registry.Repository(repository)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidSource, err)
	}
	_, err = disk.Inspect(ctx, from, tag)
	if isNotFound(err) {
		return nil, fmt.Errorf("copy %s: %w: it is not in DVCR", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", name, classify(err))
	}
	o := oras.CopyGraphOptions{
		Concurrency: 2,
		MountFrom:   func(context.Context, ocispec.Descriptor) ([]string, error) { return []string{repository}, nil },
	}
	result, err := t.copyArtifact(ctx, from, tag, o)
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", name, classify(fmt.Errorf("%w: %w", disk.ErrTarget, err)))
	}
	result.AverageSpeed = 0
	return result, nil
}

// copyArtifact copies a stored disk without its faces, which are made anew where they are wanted: they repeat its content.
func (t *task) copyArtifact(ctx context.Context, from oras.ReadOnlyTarget, ref string, o oras.CopyGraphOptions) (*Result, error) {
	manifest, err := canonical(ctx, from, ref)
	if err != nil {
		return nil, err
	}
	if err := oras.CopyGraph(ctx, from, t.repo, manifest, o); err != nil {
		return nil, err //nolint:wrapcheck // the callers tell which side failed
	}
	return t.publish(ctx, manifest)
}

// publish tags an index of one stored disk as package disk makes it, and has its faces made.
func (t *task) publish(ctx context.Context, manifest ocispec.Descriptor) (*Result, error) {
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{manifest},
	})
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	if _, err := oras.TagBytes(ctx, t.repo, ocispec.MediaTypeImageIndex, index, t.tag); err != nil {
		return nil, fmt.Errorf("%w: tag %s: %w", disk.ErrTarget, t.tag, err)
	}
	info, err := disk.Inspect(ctx, t.repo, t.tag)
	if err == nil && t.options.Faces != nil {
		info, err = disk.AddFaces(ctx, t.repo, t.tag, t.options.Faces(t.repo), t.options.Architecture)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", disk.ErrTarget, err)
	}
	return resultOf(info, t.meter.average()), nil
}

// canonical finds the manifest of a stored disk behind a reference.
func canonical(ctx context.Context, from oras.ReadOnlyTarget, ref string) (ocispec.Descriptor, error) {
	root, err := from.Resolve(ctx, ref)
	if err != nil || root.MediaType != ocispec.MediaTypeImageIndex {
		root.ArtifactType = disk.ArtifactType
		root.Platform = &ocispec.Platform{Architecture: "unknown", OS: "unknown"}
		return root, err //nolint:wrapcheck // the callers tell which side failed
	}
	var index ocispec.Index
	if err := fetchJSON(ctx, from, root, &index); err != nil {
		return root, err
	}
	for _, m := range index.Manifests {
		if m.ArtifactType == disk.ArtifactType {
			return m, nil
		}
	}
	return root, fmt.Errorf("%w: its index lists no stored disk", ErrNotDiskImage)
}

// importVolume imports the disk in a volume.
func (t *task) importVolume(ctx context.Context, s *VolumeSource) (*Result, error) {
	if t.options.Volumes == nil {
		return nil, fmt.Errorf("%w: this importer reads no volumes", ErrUnsupported)
	}
	v, err := t.options.Volumes.Open(ctx, s.Namespace, s.Claim)
	if err != nil {
		return nil, fmt.Errorf("open the volume of claim %s/%s: %w", s.Namespace, s.Claim, requestError(err))
	}
	defer v.Release()
	src, err := t.openVolume(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("open the volume of claim %s/%s: %w", s.Namespace, s.Claim, err)
	}
	size := src.Size()
	t.meter.begin(size, size)
	t.meter.inTwoSteps()
	format := FormatRaw
	if s.Format != "" {
		format = s.Format
	}
	info, err := t.push(ctx, src, func() disk.SourceConfig { return disk.SourceConfig{Format: format, Size: size} }, 0)
	if err = errors.Join(err, src.Close()); err != nil {
		return nil, fmt.Errorf("import the volume of claim %s/%s: %w", s.Namespace, s.Claim, err)
	}
	return resultOf(info, t.meter.average()), nil
}

func (t *task) openVolume(ctx context.Context, v Volume) (disk.Source, error) {
	if v.Format != FormatRaw {
		if err := os.MkdirAll(t.dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a directory for the decoder: %w", noSpace(err))
		}
		return foreign.OpenOwn(ctx, v.Path, v.Format, t.dir, foreign.Limits{})
	}
	f, err := os.Open(v.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return disk.OpenRaw(f)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: find the size of %s: %w", ErrUnreachable, v.Path, err)
	}
	return disk.NewStream(f, size), nil
}

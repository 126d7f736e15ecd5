package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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
	info, err := disk.Inspect(ctx, from, tag)
	if isNotFound(err) {
		return nil, fmt.Errorf("copy %s: %w: it is not in DVCR", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", name, classify(err))
	}
	o := oras.CopyOptions{CopyGraphOptions: oras.CopyGraphOptions{
		Concurrency: 2,
		MountFrom:   func(context.Context, ocispec.Descriptor) ([]string, error) { return []string{repository}, nil },
	}}
	if _, err := oras.Copy(ctx, from, tag, t.repo, t.tag, o); err != nil {
		return nil, fmt.Errorf("copy %s: %w", name, classify(fmt.Errorf("%w: %w", disk.ErrTarget, err)))
	}
	return resultOf(info, 0), nil
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

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
)

type imagePush struct {
	*imageOptions
	bases       []string
	faces       bool
	materialize bool
	raw         bool
}

func newImagePush(o *imageOptions) *cobra.Command {
	p := &imagePush{imageOptions: o}
	cmd := &cobra.Command{
		Use:   "push FILE REFERENCE",
		Short: "Store a raw or qcow2 image",
		Args:  exactArgs(2, "a file and a reference"),
		RunE:  func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0], args[1]) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&p.bases, "base", nil, "tag of an earlier version in the same repository; what it has is not uploaded again (default: all tags, up to 8)")
	flags.BoolVar(&p.faces, "faces", true, "also offer the disk as a containerDisk and as disk.raw+zstd, where the registry is DVCR")
	flags.BoolVar(&p.materialize, "materialize", false, "store these forms as blobs of their own, for a registry that is not DVCR")
	flags.BoolVar(&p.raw, "raw", false, "store a file that does not look like a disk image, such as a data disk without a file system, as it is")
	o.output.register(cmd)
	return cmd
}

func (p *imagePush) run(cmd *cobra.Command, path, reference string) error {
	ctx := cmd.Context()
	l, repository, err := p.find(ctx, reference)
	if err != nil {
		return err
	}
	if strings.Contains(l.reference, ":") {
		return usageError{fmt.Errorf("%s names a digest, which stands for what it names for ever; write REPOSITORY:TAG", reference)}
	}
	if err := p.check(path); err != nil {
		return err
	}
	source, described, err := openImage(path)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // only read
	bases := p.bases
	if len(bases) == 0 {
		bases = recentTags(ctx, repository)
	}
	b := newBar(cmd.ErrOrStderr(), "push "+filepath.Base(path))
	info, err := disk.Push(ctx, source, repository, l.reference, disk.PushOptions{
		Bases: bases, Progress: b.show, Describe: func() disk.SourceConfig { return described },
	})
	b.done()
	if err == nil {
		info, err = p.addFaces(ctx, repository, l, info)
	}
	if err != nil {
		return err
	}
	return p.printInfo(cmd.OutOrStdout(), l, info)
}

// sniffed is how much of a file tells what it is.
const sniffed = 1 << 20

// check refuses what would become a disk that no machine can read.
func (p *imagePush) check(path string) error {
	if p.raw {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open image: %w", err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, sniffed))
	if err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	switch format, err := importer.Sniff(head); {
	case err != nil:
		return fmt.Errorf("push %s: %w; --raw stores it as it is", path, err)
	case !slices.Contains([]string{importer.FormatRaw, importer.FormatQCOW2, importer.FormatISO}, format):
		return fmt.Errorf("push %s: it is a %s image; convert it with \"qemu-img convert -O qcow2 %s FILE\" first, or --raw stores it as it is", path, format, path)
	}
	return nil
}

// addFaces leaves an image without faces where they are wanted by default only and the registry cannot make them.
func (p *imagePush) addFaces(ctx context.Context, repository *remote.Repository, l location, info disk.Info) (disk.Info, error) {
	switch {
	case p.materialize:
		return disk.AddFaces(ctx, repository, l.reference, disk.Materializer{Target: repository}, "")
	case !p.faces:
		return info, nil
	}
	with, err := disk.AddFaces(ctx, repository, l.reference, registry.Faces{Repository: repository}, "")
	if errors.Is(err, disk.ErrUnsupported) {
		return info, nil
	}
	return with, err
}

// maxBases bounds the earlier versions that are looked into.
const maxBases = 8

func recentTags(ctx context.Context, repository *remote.Repository) []string {
	var all []string
	_ = repository.Tags(ctx, "", func(tags []string) error { // a repository that is not there has none
		all = append(all, tags...)
		return nil
	})
	return all[max(0, len(all)-maxBases):]
}

// openImage opens a raw or qcow2 file.
func openImage(path string) (disk.Source, disk.SourceConfig, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, disk.SourceConfig{}, fmt.Errorf("open image: %w", err)
	}
	head := make([]byte, len(disk.QCOW2Magic))
	info, err := f.Stat()
	if err == nil {
		_, err = f.ReadAt(head, 0)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, disk.SourceConfig{}, errors.Join(fmt.Errorf("read image: %w", err), f.Close())
	}
	described := disk.SourceConfig{Format: "raw", Size: info.Size()}
	var source disk.Source
	if string(head) == disk.QCOW2Magic {
		described.Format = "qcow2"
		source, err = disk.OpenQCOW2(f, info.Size())
	} else {
		source, err = disk.OpenRaw(f)
	}
	if err != nil {
		return nil, described, errors.Join(err, f.Close())
	}
	return source, described, nil
}

type imagePull struct {
	*imageOptions
	resume         bool
	seed, seedsRef string
}

func newImagePull(o *imageOptions) *cobra.Command {
	p := &imagePull{imageOptions: o}
	cmd := &cobra.Command{
		Use:   "pull REFERENCE FILE",
		Short: "Write an image to a raw file, every byte verified",
		Long: `Write an image to a raw file, every byte verified. What an older disk on this machine
has is copied from there: name its file by --seed, and what it was made from by --seed-ref.`,
		Args: exactArgs(2, "a reference and a file"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0], args[1]) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&p.resume, "resume", false, "keep what the file holds already, such as after an interruption")
	flags.StringVar(&p.seed, "seed", "", "raw file of an older version")
	flags.StringVar(&p.seedsRef, "seed-ref", "", "reference of the image that the seed was made from")
	cmd.MarkFlagsRequiredTogether("seed", "seed-ref")
	o.output.register(cmd)
	return cmd
}

func (p *imagePull) run(cmd *cobra.Command, reference, path string) error {
	ctx := cmd.Context()
	l, repository, err := p.find(ctx, reference)
	if err != nil {
		return err
	}
	b := newBar(cmd.ErrOrStderr(), "pull "+filepath.Base(path))
	options := disk.RestoreOptions{Resume: p.resume, Progress: b.show}
	if p.seed != "" {
		seed, err := p.openSeed(ctx)
		if err != nil {
			return err
		}
		defer seed.Disk.(*os.File).Close() //nolint:errcheck,forcetypeassert // openSeed opened it, only to read
		options.Seeds = []disk.Seed{seed}
	}
	flags := os.O_RDWR | os.O_CREATE
	if !p.resume {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("write %s: the file exists; remove it, or make it this image with --resume", path)
	}
	if err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	got, err := disk.Restore(ctx, repository, l.reference, f, options)
	b.done()
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%w; what is there is kept, go on with --resume", err)
	}
	return p.printPulled(cmd.OutOrStdout(), l, got)
}

func (p *imagePull) openSeed(ctx context.Context) (disk.Seed, error) {
	l, repository, err := p.find(ctx, p.seedsRef)
	if err != nil {
		return disk.Seed{}, err
	}
	table, err := disk.LoadTable(ctx, repository, l.reference)
	if err != nil {
		return disk.Seed{}, err
	}
	f, err := os.Open(p.seed)
	if err != nil {
		return disk.Seed{}, fmt.Errorf("open seed: %w", err)
	}
	return disk.Seed{Table: table, Disk: f}, nil
}

func newImageCopy(o *imageOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cp FROM TO",
		Short: "Copy an image with its forms and signatures, within or between registries",
		Args:  exactArgs(2, "two references"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, source, err := o.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			to, target, err := o.find(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			if err := copyImage(cmd.Context(), source, from, target, to); err != nil {
				return fmt.Errorf("copy %s to %s: %w", from, to, err)
			}
			info, err := disk.Inspect(cmd.Context(), target, to.reference)
			if err != nil {
				return err
			}
			return o.printInfo(cmd.OutOrStdout(), to, info)
		},
	}
	o.output.register(cmd)
	return cmd
}

// copyImage copies within one registry by having it link the blobs, so that nothing is moved and forms stay virtual.
func copyImage(ctx context.Context, source *remote.Repository, from location, target *remote.Repository, to location) error {
	options := oras.DefaultExtendedCopyOptions
	if from.host == to.host {
		options.MountFrom = func(context.Context, ocispec.Descriptor) ([]string, error) { return []string{from.repository}, nil }
	}
	if _, err := oras.ExtendedCopy(ctx, source, from.reference, target, to.reference, options); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from.reference, to.reference, err)
	}
	return nil
}

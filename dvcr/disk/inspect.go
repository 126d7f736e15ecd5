package disk

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/errdef"
)

// Info describes a stored disk.
type Info struct {
	// Digest is what the reference names: the digest of the artifact's index.
	Digest string
	// Config is the artifact's config.
	Config Config
	// StoredSize is how many compressed bytes of packs the disk uses, those shared with other versions included.
	StoredSize int64
	// Faces are the forms in which other programs can read the disk.
	Faces []FaceKind
	// Packs and Frames count the blobs and the distinct chunks.
	Packs, Frames int
}

// Inspect reads what is stored under ref: a tag or a digest. It verifies the metadata, not the packs.
func Inspect(ctx context.Context, from oras.ReadOnlyTarget, ref string) (Info, error) {
	a, err := load(ctx, from, ref)
	if err != nil {
		return Info{}, fmt.Errorf("inspect disk: %w", err)
	}
	return a.info(), nil
}

// questions is how many packs are asked for side by side.
const questions = 8

// InspectWhole is Inspect that also asks for every pack, and reads none. A pack that is gone is ErrCorrupt.
func InspectWhole(ctx context.Context, from oras.ReadOnlyTarget, ref string) (Info, error) {
	a, err := load(ctx, from, ref)
	if err != nil {
		return Info{}, fmt.Errorf("inspect disk: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(questions)
	for _, pack := range a.manifest.Layers[1:] {
		g.Go(func() error {
			there, err := from.Exists(ctx, pack)
			if err != nil {
				return targetError("look for "+pack.Digest.String(), err)
			}
			if !there {
				return fmt.Errorf("%w: pack %s is gone", ErrCorrupt, pack.Digest)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Info{}, fmt.Errorf("inspect disk %s: %w", ref, err)
	}
	return a.info(), nil
}

func (a *artifact) info() Info {
	return Info{
		Digest:     a.root.Digest.String(),
		Config:     a.config,
		StoredSize: a.table.stored(),
		Faces:      a.faces,
		Packs:      len(a.table.packs),
		Frames:     len(a.table.frames),
	}
}

// skippable tells a base that cannot be used from a registry that cannot be reached.
func skippable(err error) bool {
	for _, reason := range []error{errdef.ErrNotFound, ErrNotArtifact, ErrCorrupt, ErrUnsupported} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

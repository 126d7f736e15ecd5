package disk

import (
	"context"
	"errors"
	"fmt"

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

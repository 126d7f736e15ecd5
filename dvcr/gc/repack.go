package gc

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"slipway.dev/slipway/dvcr/disk"
)

// minShare is the part of a pack, in percent, that must be needed for the pack to stay as it is.
const minShare = 50

// Repacker reads and rewrites disks of one registry.
type Repacker interface {
	// Table returns the table of contents of the disk under a tag, or disk.ErrNotArtifact.
	Table(ctx context.Context, repository, tag string) (*disk.Table, error)
	// Repack stores the disk under a tag anew without some packs. Bases are tags of the same repository.
	Repack(ctx context.Context, repository, tag string, without map[digest.Digest]bool, bases []string) error
}

// stored is a disk that a tag leads to.
type stored struct {
	repository, tag string
	signed          bool
	packs           []digest.Digest
}

// repack rewrites disks that keep packs alive of which little is needed. The packs themselves go with the next collection whose
// grace period they are past: whoever reads the disk now reads on.
func (c *collection) repack(ctx context.Context) error {
	if c.Repack == nil {
		return nil
	}
	disks, use, err := c.survey(ctx)
	if err != nil {
		return fmt.Errorf("look for packs that are hardly used: %w", err)
	}
	drop := use.Below(minShare)
	rewritten := map[string][]string{}
	for _, d := range disks {
		if d.signed || !d.needs(drop) {
			continue
		}
		if err := c.Repack.Repack(ctx, d.repository, d.tag, drop, rewritten[d.repository]); err != nil {
			return fmt.Errorf("repack %s:%s: %w", d.repository, d.tag, err)
		}
		rewritten[d.repository] = append(rewritten[d.repository], d.tag)
		c.report.Repacked++
	}
	return nil
}

func (d stored) needs(packs map[digest.Digest]bool) bool {
	for _, p := range d.packs {
		if packs[p] {
			return true
		}
	}
	return false
}

// survey reads the tables of all disks.
func (c *collection) survey(ctx context.Context) ([]stored, *disk.Usage, error) {
	use := disk.NewUsage()
	var disks []stored
	all, err := c.Store.Repositories(ctx)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // repack wraps it
	}
	for _, repository := range all {
		tags, err := c.Store.Tags(ctx, repository)
		if err != nil {
			return nil, nil, err //nolint:wrapcheck // repack wraps it
		}
		signed := subjects(tags)
		manifests, err := c.Store.Manifests(ctx, repository)
		if err != nil {
			return nil, nil, err //nolint:wrapcheck // repack wraps it
		}
		for _, m := range manifests {
			signed[m.Subject] = true
		}
		for _, t := range tags {
			table, err := c.Repack.Table(ctx, repository, t.Name)
			if err != nil {
				continue // not a disk, or one that is damaged: its packs are left as they are by not being counted below
			}
			use.Add(table)
			disks = append(disks, stored{repository, t.Name, signed[t.Digest] || !managed(repository), table.Packs()})
		}
	}
	return disks, use, nil
}

// subjects returns the manifests that tags speak about. Their digests stand in signatures, so they must not change.
func subjects(tags []Tag) map[digest.Digest]bool {
	all := map[digest.Digest]bool{}
	for _, t := range tags {
		if d, ok := attachedTo(t.Name); ok {
			all[d] = true
		}
	}
	return all
}

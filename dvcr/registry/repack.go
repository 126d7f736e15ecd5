package registry

import (
	"context"

	"github.com/opencontainers/go-digest"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/gc"
)

// Repacker rewrites disks through a client, as an import would.
type Repacker struct{ Client *Client }

var _ gc.Repacker = Repacker{}

// Table implements gc.Repacker.
func (r Repacker) Table(ctx context.Context, repository, tag string) (*disk.Table, error) {
	repo, err := r.Client.Repository(repository)
	if err != nil {
		return nil, err
	}
	return disk.LoadTable(ctx, repo, tag) //nolint:wrapcheck // names what failed
}

// Repack implements gc.Repacker.
func (r Repacker) Repack(ctx context.Context, repository, tag string, without map[digest.Digest]bool, bases []string) error {
	repo, err := r.Client.Repository(repository)
	if err != nil {
		return err
	}
	_, err = disk.Repack(ctx, repo, tag, without, disk.PushOptions{Bases: bases, Faces: Faces{Repository: repo}})
	return err //nolint:wrapcheck // names what failed
}

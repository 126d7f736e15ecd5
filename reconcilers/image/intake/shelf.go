package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/importer"
)

// Shelf is DVCR as reconcilers see it: artifacts under names such as
// "vi/<namespace>/<name>:<uid>".
type Shelf interface {
	// Address is the registry's host and port.
	Address() string
	// Has tells whether an artifact is there.
	Has(ctx context.Context, name string) (bool, error)
	// Find is the result of the import of an artifact, which tells its sizes; nil
	// when it is not there, or not to be read.
	Find(ctx context.Context, name string) (*importer.Result, error)
	// Remove takes an artifact away; one that is not there is no error.
	Remove(ctx context.Context, name string) error
}

// Repositories gives access to the repositories of one registry. It is
// registry.Client.
type Repositories interface {
	Addr() string
	Repository(name string) (*remote.Repository, error)
}

// NewShelf makes a shelf of a registry client.
func NewShelf(r Repositories) Shelf { return shelf{r} }

type shelf struct{ repositories Repositories }

func (s shelf) Address() string { return s.repositories.Addr() }

func (s shelf) Has(ctx context.Context, name string) (bool, error) {
	repository, tag, err := s.split(name)
	if err != nil {
		return false, err
	}
	_, err = repository.Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s in DVCR: %w", name, err)
	}
	return true, nil
}

func (s shelf) Find(ctx context.Context, name string) (*importer.Result, error) {
	repository, tag, err := s.split(name)
	if err != nil {
		return nil, err
	}
	found, err := importer.Stored(ctx, repository, tag)
	if err != nil {
		return nil, fmt.Errorf("read %s in DVCR: %w", name, err)
	}
	return found, nil
}

// Remove deletes the manifest under the tag. A repository belongs to one object,
// and the tag is its UID, so nobody else can refer to that manifest.
func (s shelf) Remove(ctx context.Context, name string) error {
	repository, tag, err := s.split(name)
	if err != nil {
		return err
	}
	found, err := repository.Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = repository.Delete(ctx, found)
	}
	if err != nil && !errors.Is(err, errdef.ErrNotFound) {
		return fmt.Errorf("remove %s from DVCR: %w", name, err)
	}
	return nil
}

func (s shelf) split(name string) (*remote.Repository, string, error) {
	path, tag, found := strings.Cut(name, ":")
	if !found {
		return nil, "", fmt.Errorf("find %q in DVCR: the name has no tag", name)
	}
	repository, err := s.repositories.Repository(path)
	if err != nil {
		return nil, "", fmt.Errorf("open repository %s of DVCR: %w", path, err)
	}
	return repository, tag, nil
}

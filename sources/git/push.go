package git

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage"

	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/git/wire"
)

// FetchInto brings what one reference points to into a storage, without history when depth is 1 and with all of it when
// depth is 0. It is for small things: the storage may hold them in memory.
func (c *Client) FetchInto(ctx context.Context, remote Remote, into storage.Storer, spec config.RefSpec, depth int) error {
	const op = "fetch"
	ctx, cancel := context.WithTimeout(ctx, remote.timeout())
	defer cancel()
	s, err := c.open(ctx, op, remote)
	if err != nil {
		return err
	}
	defer s.Close()
	refs, err := s.Refs(ctx, spec.Src())
	if err != nil {
		return s.fail(op, err)
	}
	ref, found := advertise(refs)[spec.Src()]
	if !found {
		return remote.errorf(op, ErrNotFound, "the repository has no %s", spec.Src())
	}
	repo, err := c.newObjects()
	if err != nil {
		return err
	}
	defer repo.Close() //nolint:errcheck // what is left is swept by the next NewClient
	if err := repo.receive(ctx, s, wire.Request{Wants: []string{ref.Hash}, Depth: depth}); err != nil {
		return s.fail(op, err)
	}
	if err := repo.copy(into); err != nil {
		return s.fail(op, err)
	}
	name := spec.Dst(plumbing.ReferenceName(spec.Src()))
	if err := into.SetReference(plumbing.NewHashReference(name, plumbing.NewHash(ref.Hash))); err != nil {
		return fmt.Errorf("keep reference %s: %w", name, err)
	}
	return nil
}

// copy puts all objects into a storage.
func (o *objects) copy(into storage.Storer) error {
	for _, p := range o.packs {
		err := p.Hashes(func(h pack.Hash, typ pack.Type) error {
			content, err := o.get(h, typ)
			if err != nil {
				return err
			}
			e := into.NewEncodedObject()
			e.SetType(plumbing.ObjectType(typ))
			w, err := e.Writer()
			if err != nil {
				return fmt.Errorf("open object: %w", err)
			}
			_, err = w.Write(content)
			if err := errors.Join(err, w.Close()); err != nil {
				return fmt.Errorf("write object: %w", err)
			}
			_, err = into.SetEncodedObject(e)
			return err //nolint:wrapcheck // wrapped below
		})
		if err != nil {
			return fmt.Errorf("copy objects: %w", err)
		}
	}
	return nil
}

// Push sends one refspec from a storage. A reference of the remote that is not an ancestor of ours is ErrMoved.
func (c *Client) Push(ctx context.Context, remote Remote, from storage.Storer, spec config.RefSpec) error {
	const op = "push"
	ctx, cancel := context.WithTimeout(ctx, remote.timeout())
	defer cancel()
	ours, err := from.Reference(plumbing.ReferenceName(spec.Src()))
	if err != nil {
		return fmt.Errorf("push %s: %w", spec.Src(), err)
	}
	s, err := c.begin(ctx, op, remote, wire.Endpoint.OpenPush)
	if err != nil {
		return err
	}
	defer s.Close()
	name := spec.Dst(plumbing.ReferenceName(spec.Src())).String()
	theirs := s.Advertised(name)
	if theirs == ours.Hash().String() {
		return nil
	}
	fresh, err := between(from, theirs, ours.Hash())
	if errors.Is(err, ErrMoved) {
		return remote.errorf(op, ErrMoved, "somebody else changed %s", name)
	}
	if err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	if err := s.Push(ctx, wire.Update{Ref: name, Old: theirs, New: ours.Hash().String()}, encode(from, fresh)); err != nil {
		return s.fail(op, err)
	}
	return nil
}

// encode makes a pack while it is read.
func encode(from storage.Storer, hashes []plumbing.Hash) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := packfile.NewEncoder(w, from, false).Encode(hashes, 0)
		_ = w.CloseWithError(err)
	}()
	return r
}

// between lists the objects that new has and old has not. An old that is not an ancestor of new is ErrMoved.
func between(s storage.Storer, old string, tip plumbing.Hash) ([]plumbing.Hash, error) {
	known := map[plumbing.Hash]bool{}
	if old != "" {
		base, err := object.GetCommit(s, plumbing.NewHash(old))
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, ErrMoved
		}
		if err != nil {
			return nil, fmt.Errorf("read commit %s: %w", old, err)
		}
		known[base.Hash] = true
		if _, err := below(s, base.TreeHash, known, nil); err != nil {
			return nil, err
		}
	}
	fresh, met, err := history(s, tip, known)
	if err != nil {
		return nil, err
	}
	if old != "" && !met {
		return nil, ErrMoved
	}
	return fresh, nil
}

// history lists the commits from tip back to one that is known, and what is in them.
func history(s storage.Storer, tip plumbing.Hash, known map[plumbing.Hash]bool) (fresh []plumbing.Hash, met bool, err error) {
	todo := []plumbing.Hash{tip}
	for len(todo) > 0 {
		h := todo[0]
		todo = todo[1:]
		if known[h] {
			met = true
			continue
		}
		c, err := object.GetCommit(s, h)
		if err != nil {
			return nil, false, fmt.Errorf("read commit %s: %w", h, err)
		}
		known[h] = true
		fresh = append(fresh, h)
		if fresh, err = below(s, c.TreeHash, known, fresh); err != nil {
			return nil, false, err
		}
		todo = append(todo, c.ParentHashes...)
	}
	return fresh, met, nil
}

// below adds a tree and what is in it to a list, but for what is known.
func below(s storage.Storer, root plumbing.Hash, known map[plumbing.Hash]bool, list []plumbing.Hash) ([]plumbing.Hash, error) {
	if known[root] {
		return list, nil
	}
	known[root] = true
	list = append(list, root)
	t, err := object.GetTree(s, root)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", root, err)
	}
	for _, e := range t.Entries {
		switch {
		case !e.Mode.IsFile():
			if list, err = below(s, e.Hash, known, list); err != nil {
				return nil, err
			}
		case !known[e.Hash]:
			known[e.Hash] = true
			list = append(list, e.Hash)
		}
	}
	return list, nil
}

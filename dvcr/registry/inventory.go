package registry

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"slipway.dev/slipway/dvcr/gc"
)

// Inventory is what a server holds, for the garbage collector. It implements gc.Store.
type Inventory struct {
	shelf    *shelf
	presence *presence
}

// Inventory returns what the server holds.
func (s *Server) Inventory() Inventory { return Inventory{s.shelf, s.presence} }

var _ gc.Store = Inventory{}

// Settled implements gc.Store.
func (i Inventory) Settled() time.Time { return i.presence.since }

// list returns the names below a path; none where there is nothing.
func (i Inventory) list(ctx context.Context, p string) ([]string, error) {
	paths, err := i.shelf.driver.List(ctx, p)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", p, err)
	}
	for n := range paths {
		paths[n] = path.Base(paths[n])
	}
	slices.Sort(paths)
	return paths, nil
}

// modified returns when a file was written; ok is false when it is not there.
func (i Inventory) modified(ctx context.Context, p string) (info storagedriver.FileInfo, ok bool, err error) {
	info, err = i.shelf.driver.Stat(ctx, p)
	if notFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look at %s: %w", p, err)
	}
	return info, true, nil
}

// Repositories implements gc.Store.
func (i Inventory) Repositories(ctx context.Context) ([]string, error) { return i.below(ctx, "") }

// below finds repositories under a prefix: directories that hold the library's own.
func (i Inventory) below(ctx context.Context, prefix string) ([]string, error) {
	names, err := i.list(ctx, repositoryPath(prefix))
	if err != nil {
		return nil, err
	}
	var all []string
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "_") }) {
		all = append(all, prefix)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		more, err := i.below(ctx, path.Join(prefix, name))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// Tags implements gc.Store.
func (i Inventory) Tags(ctx context.Context, repository string) ([]gc.Tag, error) {
	names, err := i.list(ctx, repositoryPath(repository, "_manifests/tags"))
	if err != nil {
		return nil, err
	}
	var all []gc.Tag
	for _, name := range names {
		link := repositoryPath(repository, "_manifests/tags", name, "current/link")
		info, ok, err := i.modified(ctx, link)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		d, err := i.shelf.driver.GetContent(ctx, link)
		if err != nil {
			return nil, fmt.Errorf("read tag %s: %w", name, err)
		}
		all = append(all, gc.Tag{Name: name, Digest: digest.Digest(d), Modified: info.ModTime()})
	}
	return all, nil
}

// Manifests implements gc.Store.
func (i Inventory) Manifests(ctx context.Context, repository string) ([]gc.Manifest, error) {
	links, err := i.links(ctx, repositoryPath(repository, "_manifests/revisions"))
	if err != nil {
		return nil, err
	}
	var all []gc.Manifest
	for _, l := range links {
		b, err := i.shelf.driver.GetContent(ctx, dataPath(l.Digest))
		if err != nil && !notFound(err) {
			return nil, fmt.Errorf("read manifest %s: %w", l.Digest, err)
		}
		n := parseNamed(b)
		m := gc.Manifest{Digest: l.Digest, Modified: l.Modified, ArtifactType: n.ArtifactType}
		if n.Subject != nil {
			m.Subject = n.Subject.Digest
		}
		m.Needs = slices.DeleteFunc(references(b), func(d digest.Digest) bool { return d == m.Subject })
		all = append(all, m)
	}
	return all, nil
}

// Links implements gc.Store.
func (i Inventory) Links(ctx context.Context, repository string) ([]gc.Link, error) {
	return i.links(ctx, repositoryPath(repository, "_layers"))
}

func (i Inventory) links(ctx context.Context, dir string) ([]gc.Link, error) {
	names, err := i.list(ctx, dir+"/sha256")
	if err != nil {
		return nil, err
	}
	var all []gc.Link
	for _, name := range names {
		d := digest.NewDigestFromEncoded(digest.SHA256, name)
		info, ok, err := i.modified(ctx, path.Join(dir, digestPath(d), "link"))
		if err != nil {
			return nil, err
		}
		if ok && d.Validate() == nil {
			all = append(all, gc.Link{Digest: d, Modified: info.ModTime()})
		}
	}
	return all, nil
}

// Blobs implements gc.Store.
func (i Inventory) Blobs(ctx context.Context) ([]gc.Blob, error) {
	groups, err := i.list(ctx, blobsRoot+"/sha256")
	if err != nil {
		return nil, err
	}
	var all []gc.Blob
	for _, group := range groups {
		names, err := i.list(ctx, path.Join(blobsRoot, "sha256", group))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			b, ok, err := i.blob(ctx, digest.NewDigestFromEncoded(digest.SHA256, name))
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, b)
			}
		}
	}
	return all, nil
}

func (i Inventory) blob(ctx context.Context, d digest.Digest) (gc.Blob, bool, error) {
	b := gc.Blob{Digest: d}
	if d.Validate() != nil {
		return b, false, nil
	}
	info, ok, err := i.modified(ctx, dataPath(d))
	if err != nil {
		return b, false, err
	}
	if ok { // whether there is a recipe besides or not: the data is what is served
		b.Size, b.Modified = info.Size(), info.ModTime()
		return b, true, nil
	}
	r, modified, err := i.shelf.recipe(ctx, d)
	if notFound(err) {
		return b, false, nil
	}
	b.Needs, b.Size, b.Modified = append(r.Packs, r.Table), r.Size, modified
	return b, err == nil, err
}

// RemoveTag implements gc.Store.
func (i Inventory) RemoveTag(ctx context.Context, repository, tag string, unusedSince time.Time) (bool, error) {
	return i.remove(ctx, tagKey(repository, tag), repositoryPath(repository, "_manifests/tags", tag), unusedSince)
}

// RemoveManifest implements gc.Store.
func (i Inventory) RemoveManifest(ctx context.Context, repository string, d digest.Digest, unusedSince time.Time) (bool, error) {
	return i.remove(ctx, d.String(), path.Dir(revisionLink(repository, d)), unusedSince)
}

// RemoveLink implements gc.Store.
func (i Inventory) RemoveLink(ctx context.Context, repository string, d digest.Digest, unusedSince time.Time) (bool, error) {
	return i.remove(ctx, d.String(), path.Dir(layerLink(repository, d)), unusedSince)
}

// RemoveBlob implements gc.Store.
func (i Inventory) RemoveBlob(ctx context.Context, d digest.Digest, unusedSince time.Time) (bool, error) {
	return i.remove(ctx, d.String(), blobPath(d), unusedSince)
}

func (i Inventory) remove(ctx context.Context, key, p string, unusedSince time.Time) (bool, error) {
	gone, err := i.presence.removeUnused(key, unusedSince, func() error {
		if err := i.shelf.driver.Delete(ctx, p); err != nil && !notFound(err) {
			return fmt.Errorf("remove %s: %w", p, err)
		}
		return nil
	})
	return gone && err == nil, err
}

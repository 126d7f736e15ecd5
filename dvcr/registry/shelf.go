package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/dvcr/disk"
)

// recipe says how a virtual blob is made. It lies where the blob's data would lie.
type recipe struct {
	Kind  disk.FaceKind   `json:"kind"`
	Table digest.Digest   `json:"table"` // a blob: the disk's table of contents
	Packs []digest.Digest `json:"packs"` // the blobs that it names, for who must know without reading it
	Size  int64           `json:"size"`
	// Content is the digest of what the blob decodes to.
	Content digest.Digest `json:"content"`
}

func recipePath(d digest.Digest) string { return blobPath(d) + "/recipe" }

// shelf makes virtual blobs from what the storage holds.
type shelf struct {
	driver   storagedriver.StorageDriver // set when the library has made it
	presence *presence

	mu    sync.Mutex
	faces []keptFace // the most recent first
}

// keptFace is a layout that was made before: a client that reads a blob in parts asks for it many times.
type keptFace struct {
	recipe string
	face   *disk.Face
}

// keptFaces bounds the layouts in memory: some tens of bytes for each chunk of a disk.
const keptFaces = 4

// recipe reads how a blob is made.
func (s *shelf) recipe(ctx context.Context, blob digest.Digest) (recipe, time.Time, error) {
	var r recipe
	b, err := s.driver.GetContent(ctx, recipePath(blob))
	if err != nil {
		return r, time.Time{}, err //nolint:wrapcheck // compared by virtualDriver
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, time.Time{}, fmt.Errorf("read recipe of %s: %w", blob, err)
	}
	info, err := s.driver.Stat(ctx, recipePath(blob))
	if err != nil {
		return r, time.Time{}, err //nolint:wrapcheck // see above
	}
	return r, info.ModTime(), nil
}

// face lays a blob out.
func (s *shelf) face(ctx context.Context, r recipe) (*disk.Face, error) {
	key := string(r.Kind) + "@" + r.Table.String()
	if f := s.kept(key); f != nil {
		return f, nil
	}
	blob, err := s.driver.GetContent(ctx, dataPath(r.Table))
	if err != nil {
		return nil, fmt.Errorf("read table of contents %s: %w", r.Table, err)
	}
	if got := digest.FromBytes(blob); got != r.Table {
		return nil, fmt.Errorf("read table of contents %s: %w: it is %s", r.Table, disk.ErrCorrupt, got)
	}
	table, err := disk.ParseTable(blob)
	if err != nil {
		return nil, fmt.Errorf("read table of contents %s: %w", r.Table, err)
	}
	f, err := disk.NewFace(table, r.Kind)
	if err != nil {
		return nil, err //nolint:wrapcheck // names what failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faces = append([]keptFace{{key, f}}, s.faces[:min(len(s.faces), keptFaces-1)]...)
	return f, nil
}

func (s *shelf) kept(key string) *disk.Face {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.faces {
		if k.recipe == key {
			return k.face
		}
	}
	return nil
}

// OpenPack implements disk.Packs.
func (s *shelf) OpenPack(ctx context.Context, pack digest.Digest, off, _ int64) (io.ReadCloser, error) {
	body, err := s.driver.Reader(ctx, dataPath(pack), off)
	if err != nil {
		return nil, fmt.Errorf("open pack %s: %w", pack, err)
	}
	return body, nil
}

// errNoDisk says that a manifest is not one of a disk, or not in the repository.
var errNoDisk = errors.New("the repository holds no such disk manifest")

// make computes the faces of a stored disk and keeps their recipes, linked into its repository. What a client says is not
// believed: a blob that is served under a digest must be what the digest names for everyone.
func (s *shelf) make(ctx context.Context, repository string, manifest digest.Digest) ([]disk.FaceBlob, error) {
	table, err := s.tableOf(ctx, repository, manifest)
	if err != nil {
		return nil, err
	}
	var made []disk.FaceBlob
	for _, kind := range disk.FaceKinds() {
		r := recipe{Kind: kind, Table: table}
		face, err := s.face(ctx, r)
		if err != nil {
			return nil, err
		}
		d, err := face.Digest(ctx, s)
		if err != nil {
			return nil, err //nolint:wrapcheck // names what failed
		}
		r.Packs, r.Size, r.Content = face.Packs(), d.Size, d.Content
		if err := s.keep(ctx, repository, d.Blob, r); err != nil {
			return nil, err
		}
		made = append(made, disk.FaceBlob{Kind: kind, FaceDigest: d})
	}
	return made, nil
}

// tableOf returns the table of a disk manifest that the repository holds.
func (s *shelf) tableOf(ctx context.Context, repository string, d digest.Digest) (digest.Digest, error) {
	if _, err := s.driver.Stat(ctx, revisionLink(repository, d)); err != nil {
		if notFound(err) {
			return "", errNoDisk
		}
		return "", fmt.Errorf("look for manifest %s: %w", d, err)
	}
	b, err := s.driver.GetContent(ctx, dataPath(d))
	if err != nil {
		return "", fmt.Errorf("read manifest %s: %w", d, err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(b, &m); err != nil || m.ArtifactType != disk.ArtifactType || len(m.Layers) == 0 {
		return "", errNoDisk
	}
	return m.Layers[0].Digest, nil
}

// keep writes a recipe and links it into a repository, as an upload would.
func (s *shelf) keep(ctx context.Context, repository string, blob digest.Digest, r recipe) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode recipe: %w", err)
	}
	s.presence.touch(blob.String())
	// A disk without holes in one pack is that pack; what is stored needs no recipe.
	if _, err := s.driver.Stat(ctx, dataPath(blob)); err != nil {
		if err := s.driver.PutContent(ctx, recipePath(blob), b); err != nil {
			return fmt.Errorf("keep recipe of %s: %w", blob, err)
		}
	}
	if err := s.driver.PutContent(ctx, layerLink(repository, blob), []byte(blob)); err != nil {
		return fmt.Errorf("link %s into %s: %w", blob, repository, err)
	}
	return nil
}

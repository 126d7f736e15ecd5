package gc

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
)

// Tag is a tag of a repository.
type Tag struct {
	Name     string
	Digest   digest.Digest
	Modified time.Time
}

// Manifest is a manifest or index of a repository.
type Manifest struct {
	Digest   digest.Digest
	Modified time.Time
	// Needs are the blobs and manifests that it names.
	Needs []digest.Digest
	// Subject is the manifest that this one speaks about, as a signature does; empty for most.
	Subject digest.Digest
	// ArtifactType of the manifest.
	ArtifactType string
}

// Link makes a blob part of a repository.
type Link struct {
	Digest   digest.Digest
	Modified time.Time
}

// Blob is a stored blob.
type Blob struct {
	Digest   digest.Digest
	Size     int64
	Modified time.Time
	// Needs are the blobs that it is made of, for one that is virtual.
	Needs []digest.Digest
}

// Store is what a registry holds. The Remove functions remove a thing unless somebody used it at or after a time, and tell
// whether they did.
type Store interface {
	Repositories(ctx context.Context) ([]string, error)
	Tags(ctx context.Context, repository string) ([]Tag, error)
	Manifests(ctx context.Context, repository string) ([]Manifest, error)
	Links(ctx context.Context, repository string) ([]Link, error)
	Blobs(ctx context.Context) ([]Blob, error)

	RemoveTag(ctx context.Context, repository, tag string, unusedSince time.Time) (bool, error)
	RemoveManifest(ctx context.Context, repository string, d digest.Digest, unusedSince time.Time) (bool, error)
	RemoveLink(ctx context.Context, repository string, d digest.Digest, unusedSince time.Time) (bool, error)
	RemoveBlob(ctx context.Context, d digest.Digest, unusedSince time.Time) (bool, error)

	// Settled is since when the store has seen every use.
	Settled() time.Time
}

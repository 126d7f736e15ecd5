package oci

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// DefaultTag is followed when a reference is empty.
const DefaultTag = "latest"

// maxTags is how many tags a repository may have for a range of versions to be looked for.
const maxTags = 100_000

// Ref says what to follow: a digest wins over a range of versions, and that over a tag.
type Ref struct {
	Digest string
	// SemVer is a range; SemVerFilter a regular expression that tags must match.
	SemVer, SemVerFilter string
	Tag                  string
}

// Revision is one manifest.
type Revision struct {
	// Tag that led to it; empty for a pinned digest.
	Tag string
	// Digest of the manifest.
	Digest string
}

// String returns "<tag>@sha256:…", or the digest alone when it is pinned, as Flux does.
func (r Revision) String() string {
	if r.Tag == "" {
		return r.Digest
	}
	return r.Tag + "@" + r.Digest
}

// ParseRevision reads what String writes.
func ParseRevision(text string) (Revision, error) {
	tag, pinned, found := strings.Cut(text, "@")
	if !found {
		tag, pinned = "", text
	}
	if err := digest.Digest(pinned).Validate(); err != nil {
		return Revision{}, fmt.Errorf("%q is no revision of a bundle: %w", text, err)
	}
	return Revision{Tag: tag, Digest: pinned}, nil
}

// Resolve asks which manifest a reference means. It transfers no content. A pinned digest is taken as it is, without
// asking.
func (r *Repository) Resolve(ctx context.Context, ref Ref) (Revision, error) {
	const op = "resolve"
	if ref.Digest != "" {
		if d := digest.Digest(ref.Digest); d.Validate() != nil || d.Algorithm() != digest.SHA256 {
			return Revision{}, r.remote.errorf(op, ErrRefused, "%q is no digest; write sha256: and 64 hexadecimal digits", ref.Digest)
		}
		return Revision{Digest: ref.Digest}, nil
	}
	ctx, cancel := r.within(ctx)
	defer cancel()
	tag := ref.Tag
	switch {
	case ref.SemVer != "":
		var err error
		if tag, err = r.highest(ctx, ref); err != nil {
			return Revision{}, r.remote.fail(op, err)
		}
	case tag == "":
		tag = DefaultTag
	}
	pinned, err := r.head(ctx, tag)
	if err != nil {
		return Revision{}, r.remote.fail(op+" tag "+tag+" of", err)
	}
	return Revision{Tag: tag, Digest: pinned}, nil
}

// head asks for a tag's digest, and for the manifest itself where a registry answers without one.
func (r *Repository) head(ctx context.Context, tag string) (string, error) {
	desc, err := r.oras.Resolve(ctx, tag)
	var response *errcode.ErrorResponse
	switch {
	case err == nil && desc.Digest.Algorithm() == digest.SHA256:
		return desc.Digest.String(), nil
	case err == nil:
		return "", r.remote.errorf("resolve", ErrRefused, "the registry names tag %s by %s, only sha256 is taken", tag, desc.Digest.Algorithm())
	case errors.As(err, &response), errors.Is(err, errdef.ErrNotFound), unreachable(err), errors.Is(err, errdef.ErrInvalidReference):
		return "", fmt.Errorf("ask for tag %s: %w", tag, err)
	}
	raw, _, getErr := r.readManifest(ctx, tag)
	if getErr != nil {
		return "", errors.Join(err, getErr)
	}
	return digest.FromBytes(raw).String(), nil
}

// highest finds the tag with the highest version of a range.
func (r *Repository) highest(ctx context.Context, ref Ref) (string, error) {
	within, err := semver.NewConstraint(ref.SemVer)
	if err != nil {
		return "", r.remote.errorf("resolve", ErrRefused, "ref.semver %q is no range of versions: %s", ref.SemVer, err)
	}
	filter, err := regexp.Compile(ref.SemVerFilter)
	if err != nil {
		return "", r.remote.errorf("resolve", ErrRefused, "ref.semverFilter is no regular expression: %s", err)
	}
	tags, err := r.tags(ctx)
	if err != nil {
		return "", err
	}
	tag := highestOf(tags, within, filter)
	if tag == "" {
		return "", r.remote.errorf("resolve", ErrNotFound, "none of %d tags is a version within %q%s", len(tags), ref.SemVer, matching(ref.SemVerFilter))
	}
	return tag, nil
}

func matching(filter string) string {
	if filter == "" {
		return ""
	}
	return fmt.Sprintf(" that matches %q", filter)
}

func highestOf(tags []string, within *semver.Constraints, filter *regexp.Regexp) string {
	var best *semver.Version
	tag := ""
	for _, t := range tags {
		if !filter.MatchString(t) {
			continue
		}
		v, err := semver.NewVersion(t)
		if err != nil || !within.Check(v) {
			continue
		}
		if best == nil || v.GreaterThan(best) || v.Equal(best) && t > tag {
			best, tag = v, t
		}
	}
	return tag
}

// Tags lists the repository's tags.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	ctx, cancel := r.within(ctx)
	defer cancel()
	tags, err := r.tags(ctx)
	return tags, r.remote.fail("list tags of", err)
}

func (r *Repository) tags(ctx context.Context) ([]string, error) {
	var tags []string
	err := r.oras.Tags(ctx, "", func(page []string) error {
		if tags = append(tags, page...); len(tags) > maxTags {
			return r.remote.errorf("list tags of", ErrRefused, "there are more than %d tags; follow one tag instead of a range", maxTags)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	return tags, nil
}

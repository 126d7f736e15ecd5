package gc

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"k8s.io/utils/clock"
)

// Defaults of Options.
const (
	DefaultGrace  = 24 * time.Hour
	DefaultSettle = time.Hour
)

// Options say what to collect.
type Options struct {
	// Store is the registry's.
	Store Store
	// Live returns the references, as repository:tag, that objects hold. It is asked before anything else is read: what comes to
	// be afterwards is within the grace period. An error ends the collection before it removes anything.
	Live func(context.Context) ([]string, error)
	// Grace is for how long what is used by no object is kept after its last use; 0 means DefaultGrace.
	Grace time.Duration
	// Settle is how long after its start a registry is left alone, because it does not know what was used before; 0 means
	// DefaultSettle.
	Settle time.Duration
	// Repack rewrites packs that are hardly used; nil leaves them.
	Repack Repacker
	// Clock tells the time; nil means the real one.
	Clock clock.PassiveClock
}

// Report says what a collection did.
type Report struct {
	Tags      int   `json:"tags"`
	Manifests int   `json:"manifests"`
	Links     int   `json:"links"`
	Blobs     int   `json:"blobs"`
	Bytes     int64 `json:"bytes"`
	Repacked  int   `json:"repacked"`
}

// Collect runs one collection. It may be cut off at any point and run again.
func Collect(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	c := &collection{Options: o, now: o.Clock.Now()}
	c.cutoff = c.now.Add(-o.Grace)
	if c.now.Sub(o.Store.Settled()) < o.Settle {
		return c.report, nil
	}
	live, err := o.Live(ctx)
	if err != nil {
		return c.report, fmt.Errorf("collect garbage: list live references: %w", err)
	}
	c.live = live
	for _, stage := range []func(context.Context) error{c.trim, c.repack, c.sweep} {
		if err := stage(ctx); err != nil {
			return c.report, fmt.Errorf("collect garbage: %w", err)
		}
	}
	return c.report, nil
}

func (o Options) withDefaults() Options {
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Settle <= 0 {
		o.Settle = DefaultSettle
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

type collection struct {
	Options
	now    time.Time
	cutoff time.Time // what was used since is kept
	live   []string
	report Report
}

// managed tells the repositories of objects from those that people filled by hand, which are theirs to clean.
func managed(repository string) bool {
	kind, rest, _ := strings.Cut(repository, "/")
	return rest != "" && (kind == "cvi" || kind == "vi" || kind == "vd")
}

// attachedTag is how clients name what speaks about a manifest where a registry has no referrers API: signatures above all.
var attachedTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})(\.[a-z0-9]+)?$`)

// attachedTo returns the manifest that a tag is about.
func attachedTo(tag string) (digest.Digest, bool) {
	m := attachedTag.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	return digest.NewDigestFromEncoded(digest.SHA256, m[1]), true
}

// trim removes tags that no object holds and manifests that no tag leads to.
func (c *collection) trim(ctx context.Context) error {
	all, err := c.Store.Repositories(ctx)
	if err != nil {
		return err //nolint:wrapcheck // names what failed
	}
	for _, repository := range all {
		if !managed(repository) {
			continue
		}
		if err := c.trimRepository(ctx, repository); err != nil {
			return fmt.Errorf("trim repository %s: %w", repository, err)
		}
	}
	return nil
}

func (c *collection) trimRepository(ctx context.Context, repository string) error {
	tags, err := c.Store.Tags(ctx, repository)
	if err != nil {
		return err //nolint:wrapcheck // trim wraps it
	}
	manifests, err := c.Store.Manifests(ctx, repository)
	if err != nil {
		return err //nolint:wrapcheck // trim wraps it
	}
	g := newGraph(manifests)
	var attached []Tag
	for _, t := range tags {
		if _, ok := attachedTo(t.Name); ok {
			attached = append(attached, t)
			continue
		}
		gone, err := c.dropTag(ctx, repository, t)
		if err != nil {
			return err
		}
		if !gone {
			g.keep(t.Digest)
		}
	}
	if err := c.dropAttached(ctx, repository, attached, g); err != nil {
		return err
	}
	return c.dropManifests(ctx, repository, g)
}

// dropTag removes a tag unless an object holds it or somebody used it.
func (c *collection) dropTag(ctx context.Context, repository string, t Tag) (bool, error) {
	if slices.Contains(c.live, repository+":"+t.Name) || !t.Modified.Before(c.cutoff) {
		return false, nil
	}
	gone, err := c.Store.RemoveTag(ctx, repository, t.Name, c.cutoff)
	if gone {
		c.report.Tags++
	}
	return gone, err //nolint:wrapcheck // trim wraps it
}

// dropAttached removes tags whose subject is not kept.
func (c *collection) dropAttached(ctx context.Context, repository string, tags []Tag, g *graph) error {
	for _, t := range tags {
		subject, _ := attachedTo(t.Name)
		if g.kept[subject] {
			g.keep(t.Digest)
			continue
		}
		gone, err := c.dropTag(ctx, repository, t)
		if err != nil {
			return err
		}
		if !gone {
			g.keep(t.Digest)
		}
	}
	return nil
}

// dropManifests removes what nothing leads to, from the top down: one that turns out to be in use keeps what is below it.
func (c *collection) dropManifests(ctx context.Context, repository string, g *graph) error {
	for _, m := range g.topDown() {
		if g.kept[m.Digest] {
			continue
		}
		gone := false
		if m.Modified.Before(c.cutoff) {
			var err error
			if gone, err = c.Store.RemoveManifest(ctx, repository, m.Digest, c.cutoff); err != nil {
				return err //nolint:wrapcheck // trim wraps it
			}
		}
		if gone {
			c.report.Manifests++
		} else {
			g.keep(m.Digest)
		}
	}
	return nil
}

// sweep removes links and blobs that no manifest needs. Whatever manifest is there keeps what it needs, whether a tag leads to
// it or not.
func (c *collection) sweep(ctx context.Context) error {
	all, err := c.Store.Repositories(ctx)
	if err != nil {
		return err //nolint:wrapcheck // names what failed
	}
	needed := map[digest.Digest]bool{}
	for _, repository := range all {
		if err := c.sweepRepository(ctx, repository, needed); err != nil {
			return fmt.Errorf("sweep repository %s: %w", repository, err)
		}
	}
	return c.sweepBlobs(ctx, needed)
}

func (c *collection) sweepRepository(ctx context.Context, repository string, needed map[digest.Digest]bool) error {
	manifests, err := c.Store.Manifests(ctx, repository)
	if err != nil {
		return err //nolint:wrapcheck // sweep wraps it
	}
	own := map[digest.Digest]bool{}
	for _, m := range manifests {
		needed[m.Digest] = true
		for _, d := range m.Needs {
			own[d], needed[d] = true, true
		}
	}
	links, err := c.Store.Links(ctx, repository)
	if err != nil {
		return err //nolint:wrapcheck // sweep wraps it
	}
	for _, l := range links {
		if own[l.Digest] || !l.Modified.Before(c.cutoff) {
			needed[l.Digest] = true
			continue
		}
		gone, err := c.Store.RemoveLink(ctx, repository, l.Digest, c.cutoff)
		if err != nil {
			return err //nolint:wrapcheck // sweep wraps it
		}
		if gone {
			c.report.Links++
		} else {
			needed[l.Digest] = true
		}
	}
	return nil
}

// sweepBlobs removes virtual blobs first: one that is in use keeps what it is made of.
func (c *collection) sweepBlobs(ctx context.Context, needed map[digest.Digest]bool) error {
	blobs, err := c.Store.Blobs(ctx)
	if err != nil {
		return err //nolint:wrapcheck // names what failed
	}
	virtual := func(b Blob) bool { return len(b.Needs) > 0 }
	plain := slices.DeleteFunc(slices.Clone(blobs), virtual)
	for _, b := range blobs {
		if !virtual(b) {
			continue
		}
		gone, err := c.dropBlob(ctx, b, needed)
		if err != nil {
			return err
		}
		for _, d := range b.Needs {
			needed[d] = needed[d] || !gone
		}
	}
	for _, b := range plain {
		if _, err := c.dropBlob(ctx, b, needed); err != nil {
			return err
		}
	}
	return nil
}

func (c *collection) dropBlob(ctx context.Context, b Blob, needed map[digest.Digest]bool) (bool, error) {
	if needed[b.Digest] || !b.Modified.Before(c.cutoff) {
		return false, nil
	}
	gone, err := c.Store.RemoveBlob(ctx, b.Digest, c.cutoff)
	if gone {
		c.report.Blobs++
		if len(b.Needs) == 0 {
			c.report.Bytes += b.Size
		}
	}
	return gone, err //nolint:wrapcheck // names what failed
}

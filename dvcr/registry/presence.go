package registry

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"k8s.io/utils/clock"
)

// presence remembers when each thing was last used, so that nothing is removed that a client relies on. A use is noted before the
// request is served, and a removal holds the same lock: whoever comes first decides.
type presence struct {
	clock clock.PassiveClock
	since time.Time

	mu   sync.Mutex
	used map[string]time.Time
}

func newPresence(c clock.PassiveClock) *presence {
	return &presence{clock: c, since: c.Now(), used: map[string]time.Time{}}
}

func (p *presence) touch(keys ...string) {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		p.used[key] = now
	}
}

// removeUnused removes a thing unless it was used at or after a time. Uses from before that time are forgotten.
func (p *presence) removeUnused(key string, since time.Time, remove func() error) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if used, ok := p.used[key]; ok {
		if !used.Before(since) {
			return false, nil
		}
		delete(p.used, key)
	}
	return true, remove()
}

func tagKey(repository, tag string) string { return repository + ":" + tag }

// contentPath is what requests for content look like.
var contentPath = regexp.MustCompile(`^/v2/(.+)/(blobs|manifests)/([^/]+)$`)

// maxNoted bounds the manifests that are looked into; the library refuses longer ones.
const maxNoted = 4<<20 + 1

// noteUse notes what a request uses: the content in its path and query, and what a manifest names that it brings.
func (p *presence) noteUse(r *http.Request) error {
	var keys []string
	for _, name := range []string{"digest", "mount"} {
		if d := r.URL.Query().Get(name); d != "" {
			keys = append(keys, d)
		}
	}
	if m := contentPath.FindStringSubmatch(r.URL.Path); m != nil {
		if _, err := digest.Parse(m[3]); err == nil {
			keys = append(keys, m[3])
		} else {
			keys = append(keys, tagKey(m[1], m[3]))
		}
		if m[2] == "manifests" && r.Method == http.MethodPut {
			named, err := namedBy(r)
			if err != nil {
				return err
			}
			keys = append(keys, named...)
		}
	}
	p.touch(keys...)
	return nil
}

// namedBy reads the manifest in a request, puts it back, and returns its digest and those of all that it names.
func namedBy(r *http.Request) ([]string, error) {
	head, err := io.ReadAll(io.LimitReader(r.Body, maxNoted))
	if err != nil {
		return nil, err //nolint:wrapcheck // the client broke off
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	keys := []string{digest.FromBytes(head).String()}
	for _, d := range references(head) {
		keys = append(keys, d.String())
	}
	return keys, nil
}

// named is the part of manifests and indexes that names other content.
type named struct {
	ArtifactType string      `json:"artifactType"`
	Config       *reference  `json:"config"`
	Layers       []reference `json:"layers"`
	Manifests    []reference `json:"manifests"`
	Blobs        []reference `json:"blobs"`
	Subject      *reference  `json:"subject"`
}

type reference struct {
	Digest digest.Digest `json:"digest"`
}

func parseNamed(manifest []byte) named {
	var n named
	_ = json.Unmarshal(manifest, &n) // what is no manifest names nothing, and the library refuses it
	return n
}

// references returns all that a manifest or index names, its subject included.
func references(manifest []byte) []digest.Digest {
	n := parseNamed(manifest)
	var all []digest.Digest
	for _, list := range [][]reference{n.Layers, n.Manifests, n.Blobs} {
		for _, ref := range list {
			all = append(all, ref.Digest)
		}
	}
	for _, ref := range []*reference{n.Config, n.Subject} {
		if ref != nil {
			all = append(all, ref.Digest)
		}
	}
	return all
}

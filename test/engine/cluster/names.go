package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// alias is a second name of an image in a node.
type alias struct{ name, also string }

// nameByDigest lets a node find each image by its digest too. A guest that
// migrates asks for exactly the image that it runs from, and no registry could
// give it.
func (l Layout) nameByDigest(ctx context.Context, node string) error {
	listed, err := l.inside(nil, node, "ctr", "images", "ls")
	if err != nil {
		return fmt.Errorf("list images of %s: %w: %s", node, err, listed)
	}
	for _, a := range aliases(string(listed)) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("name images of %s: %w", node, context.Cause(ctx))
		}
		if output, err := l.inside(nil, node, "ctr", "images", "tag", a.name, a.also); err != nil {
			return fmt.Errorf("name image %s of %s: %w: %s", a.name, node, err, output)
		}
	}
	return nil
}

// aliases reads a table of names, media types and digests, and says which names
// by digest are missing in it.
func aliases(table string) []alias {
	var missing []alias
	var known []string
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 0 {
			known = append(known, fields[0])
		}
	}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[2], "sha256:") {
			continue
		}
		repository, tagged := untagged(fields[0])
		also := repository + "@" + fields[2]
		if tagged && !slices.Contains(known, also) {
			known = append(known, also)
			missing = append(missing, alias{fields[0], also})
		}
	}
	return missing
}

// untagged is a name without its tag. Names by digest have none, and the
// runtime's own names, which are digests, neither.
func untagged(name string) (string, bool) {
	slash := strings.LastIndex(name, "/")
	colon := strings.LastIndex(name, ":")
	if strings.Contains(name, "@") || slash < 0 || colon < slash {
		return name, false
	}
	return name[:colon], true
}

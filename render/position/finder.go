package position

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway.dev/slipway/render/kustomize"
)

// Finder finds the lines of fields in a source tree. Files are parsed when they are first needed. It is used by one
// goroutine.
type Finder struct {
	source fs.FS
	files  map[string][]*yaml.Node
}

// NewFinder returns a finder for the tree that objects were rendered from; when it is nil, the line of an object must do
// for its fields.
func NewFinder(source fs.FS) *Finder {
	return &Finder{source: source, files: map[string][]*yaml.Node{}}
}

// Field returns where the field of a rendered object stands. What a patch has changed does not stand in the object's own
// file: then it is the line of the object. Of a field that is missing it is the line of the nearest one above it.
func (f *Finder) Field(u *unstructured.Unstructured, steps []string) (file string, line int) {
	file, line = kustomize.Origin(u)
	root := f.object(file, line)
	if root == nil || len(steps) == 0 {
		return file, line
	}
	nearest, key, complete := descend(root, steps)
	switch {
	case complete && key.Line > 0 && same(nearest, u.Object, steps):
		return file, key.Line
	case complete, key == nil:
		return file, line
	}
	return file, key.Line
}

// Present is Field for one that is there: when it does not stand in the source, a patch has brought it.
func (f *Finder) Present(u *unstructured.Unstructured, steps []string) (file string, line int) {
	file, line = kustomize.Origin(u)
	if root := f.object(file, line); root != nil {
		if _, _, complete := descend(root, steps); complete {
			return f.Field(u, steps)
		}
	}
	return file, line
}

// Text is Present for a part of a text: in a literal block it is the line of that part.
func (f *Finder) Text(u *unstructured.Unstructured, steps []string, part string) (file string, line int) {
	origin, first := kustomize.Origin(u)
	if root := f.object(origin, first); root != nil {
		n, _, complete := descend(root, steps)
		before, _, found := strings.Cut(n.Value, part)
		if complete && found && n.Style&yaml.LiteralStyle != 0 && same(n, u.Object, steps) {
			return origin, n.Line + 1 + strings.Count(before, "\n")
		}
	}
	return f.Present(u, steps)
}

// Clear reports whether the value of a field stands in the source as it was rendered, for anybody who may read the source.
func (f *Finder) Clear(u *unstructured.Unstructured, steps []string) bool {
	root := f.object(kustomize.Origin(u))
	if root == nil {
		return false
	}
	n, _, complete := descend(root, steps)
	return complete && n.Kind == yaml.ScalarNode && n.Value == fmt.Sprint(valueAt(u.Object, steps))
}

// object finds the node of an object by the line where it begins.
func (f *Finder) object(file string, line int) *yaml.Node {
	if f.source == nil || file == "" {
		return nil
	}
	roots, done := f.files[file]
	if !done {
		roots = parse(f.source, file)
		f.files[file] = roots
	}
	for _, root := range roots {
		if root.Line == line {
			return root
		}
	}
	return nil
}

// parse returns the objects of a file, those inside of lists among them. What does not parse has no lines.
func parse(source fs.FS, file string) []*yaml.Node {
	content, err := fs.ReadFile(source, file)
	if err != nil {
		return nil
	}
	var roots []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var n yaml.Node
		if decoder.Decode(&n) != nil {
			return roots
		}
		if len(n.Content) == 0 {
			continue
		}
		roots = append(roots, n.Content[0])
		if _, items := pair(n.Content[0], "items"); items != nil && items.Kind == yaml.SequenceNode {
			roots = append(roots, items.Content...)
		}
	}
}

// Split takes a path such as spec.disks[0].labels[a.b] apart.
func Split(path string) []string {
	var steps []string
	for path != "" {
		switch i := strings.IndexAny(path, ".["); {
		case i == 0 && path[0] == '.':
			path = path[1:]
		case i == 0:
			step, rest, _ := strings.Cut(path[1:], "]")
			steps, path = append(steps, step), rest
		case i < 0:
			steps, path = append(steps, path), ""
		default:
			steps, path = append(steps, path[:i]), path[i:]
		}
	}
	return steps
}

// descend follows a path as far as the source has it. It returns the last node, the node that names it (its key, or
// itself in a list), and whether that is the end of the path.
func descend(n *yaml.Node, steps []string) (value, key *yaml.Node, complete bool) {
	for _, step := range steps {
		nextKey, next := enter(n, step)
		if next == nil {
			return n, key, false
		}
		n, key = next, nextKey
	}
	return n, key, true
}

func enter(n *yaml.Node, step string) (key, value *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		return pair(n, step)
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	}
	return nil, nil
}

func pair(n *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// same reports whether a field of the rendered object still has the value that stands in the source.
func same(n *yaml.Node, object any, steps []string) bool {
	value := valueAt(object, steps)
	switch value.(type) {
	case map[string]any:
		return n.Kind == yaml.MappingNode
	case []any:
		return n.Kind == yaml.SequenceNode
	case nil:
		return n.Kind == yaml.ScalarNode
	}
	return n.Kind == yaml.ScalarNode && (n.Value == fmt.Sprint(value) || n.ShortTag() != yaml.NodeTagString)
}

// valueAt returns a field of an object, nil when it is not there.
func valueAt(object any, steps []string) any {
	for _, step := range steps {
		switch v := object.(type) {
		case map[string]any:
			object = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			object = v[i]
		default:
			return nil
		}
	}
	return object
}

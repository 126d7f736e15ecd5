package schema

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// lines finds the lines of fields in a source tree. Files are parsed when a fault needs them.
type lines struct {
	source fs.FS
	files  map[string][]*yaml.Node
}

func newLines(source fs.FS) *lines { return &lines{source: source, files: map[string][]*yaml.Node{}} }

// of returns the line of a faulty field. What a patch has changed does not stand in the object's own file: then it is
// the line of the object.
func (l *lines) of(u *unstructured.Unstructured, file string, line int, f fault) int {
	root := l.object(file, line)
	if root == nil || f.field == "" {
		return line
	}
	steps := split(f.field)
	nearest, key, complete := descend(root, steps)
	switch {
	case complete && key.Line > 0 && same(nearest, u.Object, steps):
		return key.Line
	case complete, f.unknown, key == nil:
		return line
	}
	return key.Line // something is missing there
}

// object finds the node of an object by the line where it begins.
func (l *lines) object(file string, line int) *yaml.Node {
	if l.source == nil || file == "" {
		return nil
	}
	roots, done := l.files[file]
	if !done {
		roots = parse(l.source, file)
		l.files[file] = roots
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

// split takes a path such as spec.disks[0].labels[a.b] apart.
func split(path string) []string {
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
	for _, step := range steps {
		switch v := object.(type) {
		case map[string]any:
			object = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return false
			}
			object = v[i]
		default:
			return false
		}
	}
	switch object.(type) {
	case map[string]any:
		return n.Kind == yaml.MappingNode
	case []any:
		return n.Kind == yaml.SequenceNode
	case nil:
		return n.Kind == yaml.ScalarNode
	}
	return n.Kind == yaml.ScalarNode && (n.Value == fmt.Sprint(object) || n.ShortTag() != yaml.NodeTagString)
}

package kustomize

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Limits of one source. A bundle of manifests does not come near them.
const (
	maxFile      = 8 << 20 // bytes of one YAML file
	maxDocuments = 10_000  // objects of one file
	maxNodes     = 500_000 // YAML nodes of one file with aliases written out
	maxAliases   = 10      // how deep aliases may stand inside what aliases mean
)

// document is one YAML document of a file.
type document struct {
	file string
	root *yaml.Node // never nil; what the document node holds
}

// parse reads all documents of a file that hold anything. Faults are *Error.
func parse(file string, content []byte) ([]document, error) {
	if len(content) > maxFile {
		return nil, &Error{File: file, Problem: fmt.Sprintf("has more than %d bytes", maxFile), Remedy: "split it"}
	}
	var documents []document
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	budget := maxNodes
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, syntaxError(file, err)
		}
		if n.Kind != yaml.DocumentNode || len(n.Content) == 0 || n.Content[0].ShortTag() == yaml.NodeTagNull {
			continue
		}
		if len(documents) == maxDocuments {
			return nil, &Error{File: file, Problem: fmt.Sprintf("has more than %d documents", maxDocuments), Remedy: "split it"}
		}
		if err := check(file, n.Content[0], &budget, 0); err != nil {
			return nil, err
		}
		documents = append(documents, document{file: file, root: n.Content[0]})
	}
}

// syntaxError takes the line out of the parser's message, which is the only place where it stands.
func syntaxError(file string, err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &Error{File: file, Problem: "YAML does not parse: " + text, Remedy: "check indentation, quotes and colons there"}
	rest, found := strings.CutPrefix(text, "line ")
	number, problem, cut := strings.Cut(rest, ": ")
	if line, err := strconv.Atoi(number); found && cut && err == nil {
		e.Line, e.Problem = line, "YAML does not parse: "+problem
	}
	return e
}

// check refuses duplicate keys, which parsers settle in different ways, and documents that grow out of proportion when
// their aliases are written out.
func check(file string, n *yaml.Node, budget *int, depth int) error {
	if *budget--; *budget < 0 || depth > maxAliases {
		return &Error{File: file, Line: n.Line, Problem: "is too large with its aliases written out", Remedy: "split it, or use fewer aliases"}
	}
	if n.Kind == yaml.AliasNode {
		return check(file, n.Alias, budget, depth+1)
	}
	if n.Kind == yaml.MappingNode {
		if err := checkKeys(file, n); err != nil {
			return err
		}
	}
	for _, child := range n.Content {
		if err := check(file, child, budget, depth); err != nil {
			return err
		}
	}
	return nil
}

func checkKeys(file string, n *yaml.Node) error {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if first, twice := seen[key.Value]; twice && key.Kind == yaml.ScalarNode && key.ShortTag() != mergeTag {
			return &Error{
				File: file, Line: key.Line, Remedy: "remove one of the two",
				Problem: fmt.Sprintf("the key %q stands there twice, first in line %d", key.Value, first),
			}
		}
		seen[key.Value] = key.Line
	}
	return nil
}

// child returns the value of a key, following an alias.
func child(n *yaml.Node, key string) *yaml.Node {
	n = resolved(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolved(n.Content[i+1])
		}
	}
	return nil
}

func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// text returns the value of a scalar found by its keys, or "".
func text(n *yaml.Node, keys ...string) string {
	for _, key := range keys {
		n = child(n, key)
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// identity names an object as the API server does: two versions of a kind are the same object.
type identity struct {
	group, kind, namespace, name string
}

// String is the form that stands in messages.
func (i identity) String() string {
	if i.namespace == "" {
		return i.kind + "/" + i.name
	}
	return i.kind + "/" + i.namespace + "/" + i.name
}

// place is where an object stands in the source.
type place struct {
	identity
	file string
	line int
}

func (p place) position() string { return p.file + ":" + strconv.Itoa(p.line) }

func identify(apiVersion, kind, namespace, name string) identity {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		group = ""
	}
	return identity{group: group, kind: kind, namespace: namespace, name: name}
}

// items returns the objects of a document: itself, or what stands in it when it is a list.
func (d document) items() []document {
	kind, list := text(d.root, "kind"), child(d.root, "items")
	if !strings.HasSuffix(kind, "List") || list == nil || list.Kind != yaml.SequenceNode {
		return []document{d}
	}
	items := make([]document, len(list.Content))
	for i, n := range list.Content {
		items[i] = document{file: d.file, root: resolved(n)}
	}
	return items
}

// local reports whether kustomize may drop an object after the build.
func (d document) local() bool {
	return child(child(child(d.root, "metadata"), "annotations"), konfig.IgnoredByKustomizeAnnotation) != nil
}

// object checks that a document is a Kubernetes object and says which and where.
func (d document) object() (place, error) {
	p := place{file: d.file, line: d.root.Line}
	fault := func(problem string) error {
		return &Error{
			File: d.file, Line: d.root.Line, Problem: problem,
			Remedy: "every manifest needs apiVersion, kind and metadata.name; move other files out of the directory or list the manifests in a kustomization.yaml",
		}
	}
	if d.root.Kind != yaml.MappingNode {
		return p, fault("is not a Kubernetes object")
	}
	apiVersion, kind, name := text(d.root, "apiVersion"), text(d.root, "kind"), text(d.root, "metadata", "name")
	p.identity = identify(apiVersion, kind, text(d.root, "metadata", "namespace"), name)
	switch {
	case kind == "":
		return p, fault("is not a Kubernetes object: it has no kind")
	case apiVersion == "":
		return p, fault("is not a Kubernetes object: " + kind + " has no apiVersion")
	case name == "":
		return p, fault("is not a Kubernetes object: " + kind + " has no metadata.name")
	}
	return p, nil
}

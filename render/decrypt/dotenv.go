package decrypt

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// prefix begins the names under which a dotenv file holds its metadata.
const prefix = topKey + "_"

// dotenv decrypts a file of NAME=value lines. Comments are left out.
func (k *Keys) dotenv(content []byte) ([]byte, error) {
	if k == nil {
		return nil, &Error{Problem: "is encrypted with SOPS", Remedy: "name a Secret with its key in spec.decryption.secretRef"}
	}
	var names, values, notes []string
	for line := range strings.Lines(string(content)) {
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		switch {
		case strings.HasPrefix(name, "#") || name == "" && !found:
		case !found:
			return nil, damaged("a line has no =")
		case strings.HasPrefix(name, prefix):
			notes = append(notes, strings.TrimPrefix(name, prefix), unescape(value))
		default:
			names, values = append(names, name), append(values, unescape(value))
		}
	}
	m, err := flatMetadata(notes)
	if err != nil {
		return nil, err
	}
	o, err := k.opener(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for i, name := range names {
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: yaml.NodeTagString, Value: values[i]}
		if err := o.scalar(n, []string{name}); err != nil {
			return nil, err
		}
		out.WriteString(name + "=" + strings.ReplaceAll(n.Value, "\n", `\n`) + "\n")
	}
	return out.Bytes(), o.verify(m)
}

func unescape(text string) string { return strings.ReplaceAll(text, `\n`, "\n") }

// flatMetadata reads names such as age__list_0__map_enc, and what they stand for, in turn.
func flatMetadata(notes []string) (metadata, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(notes); i += 2 {
		value := &yaml.Node{Kind: yaml.ScalarNode, Value: notes[i+1]}
		list, item, nested := strings.Cut(notes[i], "__list_")
		if !nested {
			set(root, list, value)
			continue
		}
		number, key, isMap := strings.Cut(item, "__map_")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= maxRecipients || !isMap || strings.Contains(key, "__") {
			return metadata{}, &Error{Problem: "has key groups, which a dotenv file cannot have here", Remedy: "encrypt it for single keys"}
		}
		set(at(root, list, n), key, value)
	}
	return readMetadata(root)
}

// maxRecipients is more keys than anybody encrypts a file for.
const maxRecipients = 1_000

// set adds a field. Values that are not text are written plainly, for the decoder to find out.
func set(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: yaml.NodeTagString, Value: key}, value)
}

// at returns the mapping with a number in a list, which is made when it is not there.
func at(root *yaml.Node, name string, number int) *yaml.Node {
	i := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Value == name })
	var list *yaml.Node
	if i >= 0 && i+1 < len(root.Content) && root.Content[i+1].Kind == yaml.SequenceNode {
		list = root.Content[i+1]
	} else {
		list = &yaml.Node{Kind: yaml.SequenceNode}
		set(root, name, list)
	}
	for len(list.Content) <= number {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.MappingNode})
	}
	return list.Content[number]
}

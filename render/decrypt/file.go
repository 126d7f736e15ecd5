package decrypt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxFile is the largest file that is looked into, in bytes.
const maxFile = 8 << 20

// File returns the content of a file in clear: in the format that it has, or as it was before when SOPS took it for binary.
// A file that is not encrypted is returned as it is. The error is *Error.
func (k *Keys) File(name string, content []byte) ([]byte, error) {
	switch {
	case len(content) > maxFile:
		return content, nil
	case bytes.HasPrefix(content, []byte("sops_mac=")), bytes.Contains(content, []byte("\nsops_mac=")):
		return k.dotenv(content)
	case bytes.Contains(content, []byte("\n[sops]\n")) && bytes.Contains(content, []byte("\nmac")):
		return nil, &Error{Problem: "is an INI file encrypted with SOPS, which is not supported", Remedy: "encrypt it as binary: sops encrypt --input-type binary"}
	case !bytes.Contains(content, []byte(topKey)):
		return content, nil
	}
	documents, err := parse(content)
	if err != nil {
		return content, nil // whoever reads it says so
	}
	encrypted := false
	for _, d := range documents {
		encrypted = encrypted || Encrypted(d)
	}
	if !encrypted {
		return content, nil
	}
	if err := k.Nodes(documents); err != nil {
		return nil, err
	}
	return emit(name, content, documents)
}

func parse(content []byte) ([]*yaml.Node, error) {
	var documents []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		n := &yaml.Node{}
		switch err := decoder.Decode(n); {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return nil, fmt.Errorf("parse: %w", err)
		}
		if len(n.Content) > 0 {
			documents = append(documents, n.Content[0])
		}
	}
}

// emit writes decrypted documents in the format of the file.
func emit(name string, content []byte, documents []*yaml.Node) ([]byte, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		return Emit(documents)
	}
	if data, found := binary(documents[0]); found && path.Ext(name) != ".json" {
		return data, nil
	}
	var out bytes.Buffer
	if err := writeJSON(&out, documents[0], ""); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Emit writes documents as YAML.
func Emit(documents []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(4)
	for _, d := range documents {
		if err := encoder.Encode(d); err != nil {
			return nil, damaged("it cannot be written in clear")
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, damaged("it cannot be written in clear")
	}
	return out.Bytes(), nil
}

// binary returns the one value that a file has which SOPS took for binary.
func binary(n *yaml.Node) ([]byte, bool) {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "data" && n.Content[1].Kind == yaml.ScalarNode {
		return []byte(n.Content[1].Value), true
	}
	return nil, false
}

// writeJSON writes a node with its fields in their order.
func writeJSON(out *bytes.Buffer, n *yaml.Node, indent string) error {
	switch n.Kind {
	case yaml.MappingNode:
		return writeAll(out, "{", "}", indent, len(n.Content)/2, func(i int, indent string) error {
			writeString(out, n.Content[2*i].Value)
			out.WriteString(": ")
			return writeJSON(out, n.Content[2*i+1], indent)
		})
	case yaml.SequenceNode:
		return writeAll(out, "[", "]", indent, len(n.Content), func(i int, indent string) error {
			return writeJSON(out, n.Content[i], indent)
		})
	}
	if n.ShortTag() == yaml.NodeTagString || !json.Valid([]byte(n.Value)) {
		writeString(out, n.Value)
		return nil
	}
	out.WriteString(n.Value)
	return nil
}

func writeAll(out *bytes.Buffer, first, last, indent string, n int, write func(i int, indent string) error) error {
	out.WriteString(first)
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n" + indent + "\t")
		if err := write(i, indent+"\t"); err != nil {
			return err
		}
	}
	if n > 0 {
		out.WriteString("\n" + indent)
	}
	out.WriteString(last)
	return nil
}

func writeString(out *bytes.Buffer, text string) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	out.WriteString(strings.TrimSuffix(b.String(), "\n"))
}

package decrypt

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// topKey is where the metadata stands.
const topKey = "sops"

// Encrypted reports whether a document was encrypted by SOPS.
func Encrypted(n *yaml.Node) bool {
	_, found := metadataOf(n)
	return found
}

// metadataOf finds the metadata of a document.
func metadataOf(n *yaml.Node) (*yaml.Node, bool) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if n.Content[i].Value != topKey || value.Kind != yaml.MappingNode {
			continue
		}
		for j := 0; j+1 < len(value.Content); j += 2 {
			if value.Content[j].Value == "mac" {
				return value, true
			}
		}
	}
	return nil, false
}

// Nodes decrypts the documents of a file, in place; lines stay what they are. Documents that are not encrypted are left as
// they are. The error is *Error.
func (k *Keys) Nodes(documents []*yaml.Node) error {
	for len(documents) > 0 {
		first, found := metadataOf(documents[0])
		if !found {
			documents = documents[1:]
			continue
		}
		m, err := readMetadata(first)
		if err != nil {
			return err
		}
		// Documents that were encrypted together have one MAC.
		n := 1
		for n < len(documents) && sameMAC(documents[n], m.MAC) {
			n++
		}
		if err := k.together(documents[:n], m); err != nil {
			return err
		}
		documents = documents[n:]
	}
	return nil
}

func sameMAC(n *yaml.Node, mac string) bool {
	other, found := metadataOf(n)
	if !found {
		return false
	}
	m, err := readMetadata(other)
	return err == nil && m.MAC == mac
}

// together decrypts documents that share their metadata.
func (k *Keys) together(documents []*yaml.Node, m metadata) error {
	if k == nil {
		return &Error{Problem: "is encrypted with SOPS", Remedy: "name a Secret with its key in spec.decryption.secretRef"}
	}
	o, err := k.opener(m)
	if err != nil {
		return err
	}
	for _, d := range documents {
		dropMetadata(d)
		if err := o.value(d, nil); err != nil {
			return err
		}
	}
	return o.verify(m)
}

func dropMetadata(n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == topKey {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}

// opener decrypts the values of one file and sums them up.
type opener struct {
	key       []byte
	encrypted rule
	mac       hash.Hash
	all       bool // clear values go into the MAC, too
}

func (k *Keys) opener(m metadata) (*opener, error) {
	key, err := k.dataKey(m)
	if err != nil {
		return nil, err
	}
	encrypted, err := m.rule()
	if err != nil {
		return nil, err
	}
	o := &opener{key: key, encrypted: encrypted, mac: sha512.New(), all: !m.MACOnlyEncrypted}
	if m.MACOnlyEncrypted { // such a MAC begins with a hash, so that it never equals one of the other sort
		seed := sha256.Sum256([]byte(topKey))
		o.mac.Write(seed[:])
	}
	return o, nil
}

// verify compares the sum of all values with the one that was encrypted with them.
func (o *opener) verify(m metadata) error {
	stamp, err := m.stamp()
	if err != nil {
		return err
	}
	want, err := unseal(m.MAC, o.key, stamp)
	if err != nil {
		return damaged("its message authentication code was changed")
	}
	if got := fmt.Sprintf("%X", o.mac.Sum(nil)); !hmac.Equal([]byte(got), []byte(want.text)) {
		return damaged("its message authentication code does not fit its values; something was changed after it was encrypted")
	}
	return nil
}

func (o *opener) value(n *yaml.Node, path []string) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := o.value(n.Content[i+1], append(path[:len(path):len(path)], n.Content[i].Value)); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if err := o.value(item, path); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		return o.scalar(n, path)
	default:
		return damaged("it uses a YAML alias")
	}
	return nil
}

func (o *opener) scalar(n *yaml.Node, path []string) error {
	if n.ShortTag() == yaml.NodeTagNull {
		return nil
	}
	if !o.encrypted(path) {
		return o.clear(n)
	}
	if n.ShortTag() != yaml.NodeTagString {
		return damaged("a value that should be encrypted is not")
	}
	p, err := unseal(n.Value, o.key, trail(path))
	if err != nil {
		return err
	}
	o.mac.Write([]byte(p.text))
	fill(n, p)
	return nil
}

// clear adds a value that is not encrypted to the sum.
func (o *opener) clear(n *yaml.Node) error {
	if !o.all {
		return nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return damaged("a clear value does not parse")
	}
	switch v := value.(type) {
	case string:
		o.mac.Write([]byte(v))
	case bool:
		o.mac.Write([]byte(formatBool(v)))
	case float64:
		o.mac.Write([]byte(formatFloat(v)))
	case time.Time:
		o.mac.Write([]byte(v.Format(time.RFC3339Nano)))
	default:
		fmt.Fprint(o.mac, v)
	}
	return nil
}

// fill writes a decrypted value into its node.
func fill(n *yaml.Node, p plain) {
	n.Value, n.Style = p.text, 0
	switch p.kind {
	case "int":
		n.Tag = yaml.NodeTagInt
	case "float":
		n.Tag = yaml.NodeTagFloat
	case "bool":
		n.Tag, n.Value = yaml.NodeTagBool, strings.ToLower(p.text)
	case "time":
		n.Tag = "!!timestamp"
	default:
		n.Tag = yaml.NodeTagString
		if strings.Contains(p.text, "\n") {
			n.Style = yaml.LiteralStyle
		}
	}
}

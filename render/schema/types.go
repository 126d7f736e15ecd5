package schema

import (
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway.dev/slipway/render/substitute"
)

// SchemaOf returns the types of the fields of a kind; nil when the kind is not known. It implements substitute.Schemas.
func (v *Validator) SchemaOf(gvk schema.GroupVersionKind) substitute.Field {
	compiled, found := v.kinds[gvk]
	if !found {
		return nativeSchema(gvk)
	}
	k, err := compiled()
	if err != nil {
		return nil // reported by Validate
	}
	return node{k.structural}
}

// node is a place in the schema of a definition.
type node struct{ *structural.Structural }

// Type implements substitute.Field.
func (n node) Type() substitute.Type {
	switch {
	case n.XIntOrString:
		return substitute.IntOrString
	case n.Structural.Type == "object" || n.Structural.Type == "array":
		return substitute.Structure
	}
	return substitute.Type(n.Structural.Type)
}

// Child implements substitute.Field.
func (n node) Child(name string) substitute.Field {
	if property, found := n.Properties[name]; found {
		return node{&property}
	}
	if n.AdditionalProperties != nil && n.AdditionalProperties.Structural != nil {
		return node{n.AdditionalProperties.Structural}
	}
	return nil
}

// Item implements substitute.Field.
func (n node) Item() substitute.Field {
	if n.Items == nil {
		return nil
	}
	return node{n.Items}
}

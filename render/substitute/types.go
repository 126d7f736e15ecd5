package substitute

import (
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Type is what a schema says about the value of a field.
type Type string

// The types. A field that no schema describes is Unknown: a value that fills it takes the type that it looks like, as it
// would in YAML.
const (
	Unknown     Type = ""
	String      Type = "string"
	Integer     Type = "integer"
	Number      Type = "number"
	Boolean     Type = "boolean"
	IntOrString Type = "integer or string"
	Structure   Type = "mapping or list"
)

// Field is the schema of a value. It knows the schemas below it.
type Field interface {
	// Type of the value itself.
	Type() Type
	// Child is the schema of a field of an object; nil when nothing is known about it.
	Child(name string) Field
	// Item is the schema of the items of a list; nil when nothing is known about them.
	Item() Field
}

// Schemas know the kinds of objects.
type Schemas interface {
	// SchemaOf returns nil for a kind that it does not know.
	SchemaOf(gvk schema.GroupVersionKind) Field
}

// metadata is the schema of the metadata that manifests set: all of it is text.
type metadata struct{}

func (metadata) Type() Type         { return String }
func (metadata) Child(string) Field { return metadata{} }
func (metadata) Item() Field        { return metadata{} }

func typeOf(f Field) Type {
	if f == nil {
		return Unknown
	}
	return f.Type()
}

func childOf(f Field, name string) Field {
	if f == nil {
		return nil
	}
	return f.Child(name)
}

func itemOf(f Field) Field {
	if f == nil {
		return nil
	}
	return f.Item()
}

// convert gives a text the type that a field wants. whole says that the field holds nothing but one substitution.
func convert(text string, t Type, whole bool) (any, error) {
	switch t {
	case String:
		return text, nil
	case Integer:
		return integer(text)
	case Number:
		return number(text)
	case Boolean:
		return boolean(text)
	case IntOrString:
		if value, err := integer(text); err == nil {
			return value, nil
		}
		return text, nil
	case Structure:
		return nil, fmt.Errorf("the field must be a mapping or a list, which no variable can be")
	}
	if whole {
		return guess(text), nil
	}
	return text, nil
}

func integer(text string) (any, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the field must be an integer, and what is put there is not one")
	}
	return value, nil
}

func number(text string) (any, error) {
	if value, err := integer(text); err == nil {
		return value, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, fmt.Errorf("the field must be a number, and what is put there is not one")
	}
	return value, nil
}

func boolean(text string) (any, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("the field must be true or false, and what is put there is neither")
}

// guess is what a text would be as a plain scalar of YAML, as far as manifests use it.
func guess(text string) any {
	for _, parse := range []func(string) (any, error){integer, number, boolean} {
		if value, err := parse(text); err == nil {
			return value
		}
	}
	return text
}

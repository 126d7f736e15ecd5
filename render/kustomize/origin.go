package kustomize

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// OriginAnnotation carries "file:line" through the later stages of a render.
const OriginAnnotation = "internal.slipway.dev/origin"

// Origin returns the file of the source tree in which an object, or the generator that made it, stands, and its first
// line there. What is not known is empty.
func Origin(u *unstructured.Unstructured) (file string, line int) {
	text := u.GetAnnotations()[OriginAnnotation]
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return text, 0
	}
	line, err := strconv.Atoi(text[colon+1:])
	if err != nil {
		return text, 0
	}
	return text[:colon], line
}

// StripOrigin removes what Origin reads. It must be called before an object is applied.
func StripOrigin(u *unstructured.Unstructured) {
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", OriginAnnotation)
	if annotations, found, _ := unstructured.NestedMap(u.Object, "metadata", "annotations"); found && len(annotations) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	}
}

// annotated is an object as kustomize shall see it: with a note of where it stands, and otherwise the same.
func (d document) annotated(p place) ([]byte, error) {
	value, err := plainMap(d.root)
	if err != nil {
		return nil, &Error{File: d.file, Line: d.root.Line, Object: p.String(), Problem: err.Error()}
	}
	if err := unstructured.SetNestedField(value, p.position(), "metadata", "annotations", OriginAnnotation); err != nil {
		return nil, &Error{
			File: d.file, Line: lineOf(d.root, []string{"metadata", "annotations"}), Object: p.String(),
			Problem: "metadata.annotations is not a mapping",
		}
	}
	text, err := blockText(value)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", p, err)
	}
	return text, nil
}

// origins finds what objects were called in the source.
type origins map[string]place // by position

func index(lists ...[]place) origins {
	o := origins{}
	for _, list := range lists {
		for _, p := range list {
			o[p.position()] = p
		}
	}
	return o
}

// of returns the place of a rendered object; it is empty when a patch has removed the note.
func (o origins) of(u *unstructured.Unstructured) place {
	return o[u.GetAnnotations()[OriginAnnotation]]
}

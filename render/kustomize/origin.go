package kustomize

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/yaml"
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

// setOrigin writes down what Origin reads. Where a patch has left no mapping of annotations, nothing is known.
func setOrigin(u *unstructured.Unstructured, p place) {
	if p.file != "" {
		_ = unstructured.SetNestedField(u.Object, p.position(), "metadata", "annotations", OriginAnnotation)
	}
}

// StripOrigin removes what Origin reads. It must be called before an object is applied.
func StripOrigin(u *unstructured.Unstructured) {
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", OriginAnnotation)
	if annotations, found, _ := unstructured.NestedMap(u.Object, "metadata", "annotations"); found && len(annotations) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	}
}

// shown is an object as kustomize shall see it.
func (d document) shown(p place) ([]byte, error) {
	value, err := plainMap(d.root)
	if err != nil {
		return nil, &Error{File: d.file, Line: d.root.Line, Object: p.String(), Problem: err.Error()}
	}
	if annotations := child(child(d.root, "metadata"), "annotations"); annotations != nil && annotations.Kind != yaml.MappingNode {
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

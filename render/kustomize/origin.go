package kustomize

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resource"
)

// originAnnotation carries "file:line" through the later stages of a render.
const originAnnotation = "internal.slipway.dev/origin"

// Origin returns the file of the source tree in which an object, or the generator that made it, stands, and its first
// line there. What is not known is empty.
func Origin(u *unstructured.Unstructured) (file string, line int) {
	text := u.GetAnnotations()[originAnnotation]
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
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", originAnnotation)
	if annotations, found, _ := unstructured.NestedMap(u.Object, "metadata", "annotations"); found && len(annotations) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	}
}

func setOrigin(u *unstructured.Unstructured, p place) {
	if p.file == "" {
		return
	}
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[originAnnotation] = p.position()
	u.SetAnnotations(annotations)
}

// places finds where rendered objects stand in the source.
type places map[string][]place // by file

func index(list []place) places {
	byFile := places{}
	for _, p := range list {
		byFile[p.file] = append(byFile[p.file], p)
	}
	return byFile
}

// find returns the place of an object that kustomize says came from a file. Names may have changed on the way, so the
// longest name that is still part of the new one wins.
func (ps places) find(u *unstructured.Unstructured, origin *resource.Origin) place {
	if origin == nil {
		return place{}
	}
	file, ok := sourceFile(origin)
	if !ok {
		return place{}
	}
	best := place{file: file}
	for _, p := range ps[file] {
		sameKind := p.kind == u.GetKind() && p.group == u.GroupVersionKind().Group
		if sameKind && (best.line == 0 || strings.Contains(u.GetName(), p.name) && better(p, best, u.GetName())) {
			best = p
		}
	}
	return best
}

func better(p, best place, name string) bool {
	return !strings.Contains(name, best.name) || len(p.name) > len(best.name)
}

// sourceFile is the path within the tree that an origin names: of the manifest, or of the kustomization whose generator
// made the object.
func sourceFile(origin *resource.Origin) (string, bool) {
	name := origin.Path
	if name == "" {
		name = origin.ConfiguredIn
	}
	return strings.CutPrefix(name, ".."+treeRoot+"/")
}

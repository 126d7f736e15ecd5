package kustomize

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// errUntraced says that kustomize has not built one object for each of the source.
var errUntraced = errors.New("the objects that were built are others than those of the source")

// built is an object that kustomize has built, and where it comes from. The place is empty when a patch has removed the
// note that said it.
type built struct {
	*resource.Resource
	source place
}

// traceable reports whether the place of an object can be told from the order in which kustomize returns them: it neither
// drops nor sorts any. Of what cannot be traced each object gets a note of its place, which kustomize copies, reads and
// writes with each change that it makes.
func (s *scan) traceable(order []place) bool {
	if s.repeated || s.mergers || s.removals || len(order) != len(s.places)+len(s.generated) {
		return false
	}
	for _, f := range s.folders {
		if len(f.k.Generators)+len(f.k.Transformers) > 0 || f.k.SortOptions != nil {
			return false
		}
	}
	return true
}

// trace finds the places of objects that were built from a part of the source.
func (s *scan) trace(objects []*resource.Resource, part []place) ([]built, error) {
	if s.noted {
		return s.traceNotes(objects), nil
	}
	if len(objects) != len(part) {
		return nil, errUntraced
	}
	list := make([]built, len(objects))
	for i, r := range objects {
		if r.GetKind() != part[i].kind {
			return nil, errUntraced
		}
		list[i] = built{r, part[i]}
	}
	return list, nil
}

func (s *scan) traceNotes(objects []*resource.Resource) []built {
	places := make(map[string]place, len(s.places)+len(s.generated))
	for _, p := range slices.Concat(s.places, s.generated) {
		places[p.position()] = p
	}
	list := make([]built, len(objects))
	for i, r := range objects {
		list[i] = built{r, places[r.GetAnnotations()[OriginAnnotation]]}
	}
	return list
}

// note writes into each object where it stands.
func (s *scan) note() error {
	s.noted = true
	for file, units := range s.units {
		for i, u := range units {
			text, err := u.withNote()
			if err != nil {
				return err
			}
			units[i].text = text
		}
		s.showUnits(file)
	}
	return nil
}

func (u unit) withNote() ([]byte, error) {
	n, err := yaml.Parse(string(u.text))
	if err != nil {
		return nil, fmt.Errorf("read %s again: %w", u, err)
	}
	fields, err := plainMap(n.YNode())
	if err != nil {
		return nil, fmt.Errorf("read %s again: %w", u, err)
	}
	if err := unstructured.SetNestedField(fields, u.position(), "metadata", "annotations", OriginAnnotation); err != nil {
		return nil, fmt.Errorf("note the place of %s: %w", u, err)
	}
	return blockText(fields)
}

// showUnits puts the objects of a file into the jail.
func (s *scan) showUnits(file string) {
	var shown []byte
	for _, u := range s.units[file] {
		shown = append(shown, u.text...)
	}
	s.jail.extra[path.Join(manifestRoot, file)] = shown
}

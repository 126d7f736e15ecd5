package substitute

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/render/kustomize"
)

// Annotation, as an annotation or a label with the value Disabled, keeps an object as it is. FluxAnnotation does the same.
const (
	Annotation     = "gitops.slipway.dev/substitute"
	FluxAnnotation = "kustomize.toolkit.fluxcd.io/substitute"
	Disabled       = "disabled"
)

// Limits of what one object may become, and of how much is reported.
const (
	maxObject = 4 << 20 // bytes put into one object
	maxErrors = 20
)

// Locate says where in the source a part of a field of an object stands.
type Locate func(u *unstructured.Unstructured, path []string, part string) (file string, line int)

// Hidden are the fields, by the index of the object, that hold the value of a Secret. A path has its steps joined by
// dots, as in spec.blockDeviceRefs.0.name.
type Hidden map[int][]string

// Apply substitutes variables in objects, in place, and returns which fields hold secrets. The error is Errors. Nothing
// is done when there are no variables.
func Apply(objects []*unstructured.Unstructured, v Variables, schemas Schemas, locate Locate) (Hidden, error) {
	if v == nil {
		return nil, nil
	}
	hidden := Hidden{}
	var faults Errors
	for i, u := range objects {
		if optedOut(u) {
			continue
		}
		run := &run{variables: v, object: u, locate: locate, name: u.GetKind() + "/" + u.GetName()}
		run.whole(schemas)
		if len(run.hidden) > 0 {
			hidden[i] = run.hidden
		}
		if faults = append(faults, run.faults...); len(faults) >= maxErrors {
			break
		}
	}
	if len(faults) > 0 {
		return nil, faults[:min(len(faults), maxErrors)]
	}
	return hidden, nil
}

func optedOut(u *unstructured.Unstructured) bool {
	for _, list := range []map[string]string{u.GetAnnotations(), u.GetLabels()} {
		if list[Annotation] == Disabled || list[FluxAnnotation] == Disabled {
			return true
		}
	}
	return false
}

// run is the substitution in one object.
type run struct {
	variables Variables
	object    *unstructured.Unstructured
	locate    Locate
	name      string
	size      int
	hidden    []string
	faults    Errors
}

// open are the fields that say which object it is. They stand in messages and records, so that no secret goes there.
var open = []string{"apiVersion", "kind", "metadata.name", "metadata.namespace"}

func (r *run) whole(schemas Schemas) {
	for _, name := range []string{"apiVersion", "kind"} {
		if text, ok := r.object.Object[name].(string); ok {
			r.object.Object[name] = r.scalar(text, metadata{}, []string{name})
		}
	}
	var known Field
	if schemas != nil {
		known = schemas.SchemaOf(r.object.GroupVersionKind())
	}
	for _, name := range slices.Sorted(maps.Keys(r.object.Object)) {
		switch name {
		case "apiVersion", "kind":
		case "metadata":
			r.object.Object[name] = r.value(r.object.Object[name], metadata{}, []string{name})
		default:
			r.object.Object[name] = r.value(r.object.Object[name], childOf(known, name), []string{name})
		}
	}
}

func (r *run) value(value any, f Field, path []string) any {
	switch v := value.(type) {
	case map[string]any:
		return r.mapping(v, f, path)
	case []any:
		for i, item := range v {
			v[i] = r.value(item, itemOf(f), append(path, strconv.Itoa(i)))
		}
	case string:
		return r.scalar(v, f, path)
	}
	return value
}

func (r *run) mapping(m map[string]any, f Field, path []string) any {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value := m[key]
		renamed := r.key(key, append(path, key))
		if renamed != key {
			if _, taken := m[renamed]; taken {
				r.fault(append(path, key), "", fmt.Errorf("the key becomes one that is there already"), "give the variable another value, or remove one of the keys")
				continue
			}
			delete(m, key)
		}
		m[renamed] = r.value(value, childOf(f, renamed), append(path, renamed))
	}
	return m
}

// key substitutes in the key of a mapping. Keys stand in messages.
func (r *run) key(key string, path []string) string {
	if !strings.Contains(key, "${") {
		return key
	}
	out := r.expand(key, path)
	if out.secret != "" {
		r.fault(path, out.secret, fmt.Errorf("the value of a Secret cannot become the name of a field"), "take the variable from a ConfigMap")
		return key
	}
	return out.text
}

func (r *run) scalar(text string, f Field, path []string) any {
	field := strings.Join(path, ".")
	if !strings.Contains(text, "${") || field == "metadata.annotations."+kustomize.OriginAnnotation {
		return text
	}
	out := r.expand(text, path)
	if out.failed {
		return text
	}
	switch {
	case out.secret != "" && slices.Contains(open, field):
		r.fault(path, out.secret, fmt.Errorf("the value of a Secret cannot become part of what an object is called"), "take the variable from a ConfigMap")
		return text
	case out.secret != "":
		r.hidden = append(r.hidden, field)
	}
	value, err := convert(out.text, typeOf(f), lone(text))
	if err != nil {
		r.fault(path, "", err, "correct the value of the variable in "+excerpt(text))
		return text
	}
	return value
}

// fault notes what is wrong with a field.
func (r *run) fault(path []string, variable string, err error, remedy string) {
	e := Error{Object: r.name, Field: strings.Join(path, "."), Variable: variable, Problem: err.Error(), Remedy: remedy}
	if variable != "" {
		e.Problem = "${" + variable + "}: " + e.Problem
	}
	if r.locate != nil {
		e.File, e.Line = r.locate(r.object, path, "${"+variable)
	}
	r.faults = append(r.faults, e)
}

// errTooLarge says that variables blow an object up.
var errTooLarge = errors.New("the object grows over " + strconv.Itoa(maxObject>>20) + " MiB by substitution")

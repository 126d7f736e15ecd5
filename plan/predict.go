package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Predict is the live object as it would be after an apply of the desired one,
// without the defaults that the API server would fill in anew.
func Predict(desired, live *unstructured.Unstructured) *unstructured.Unstructured {
	next := live.DeepCopy()
	merge(next.Object, desired.Object, owned(live))
	if version := desired.GetAPIVersion(); version != "" {
		next.SetAPIVersion(version)
	}
	return next
}

func merge(into, desired map[string]any, own ownership) {
	for _, name := range fieldNames(desired, own) {
		want, wanted := desired[name]
		if !wanted {
			delete(into, name)
			continue
		}
		into[name] = merged(into[name], want, own.field(name))
	}
}

func merged(have, want any, own ownership) any {
	switch wanted := want.(type) {
	case map[string]any:
		into, ok := have.(map[string]any)
		if !ok {
			return want
		}
		merge(into, wanted, own)
		return into
	case []any:
		had, ok := have.([]any)
		if !ok {
			return want
		}
		return mergedList(had, wanted, own)
	default:
		if equalMeaning(have, want) {
			return have
		}
		return want
	}
}

func mergedList(have, want []any, own ownership) []any {
	if keys := own.keys(); keys != nil {
		return mergedItems(have, want, keys, own)
	}
	probe := differ{}
	probe.atomic("", want, have)
	if len(probe.changes) == 0 {
		return have
	}
	return want
}

// mergedItems merges keyed lists: items applied before and desired no longer
// go, those of others stay.
func mergedItems(have, want []any, keys []string, own ownership) []any {
	var next []any
	for _, candidate := range have {
		item, ok := candidate.(map[string]any)
		if !ok {
			return want
		}
		if _, wanted := findItem(want, keyOfItem(item, keys)); wanted != nil {
			merge(item, wanted, own.item(item))
		} else if own.item(item) != nil {
			continue
		}
		next = append(next, item)
	}
	for _, candidate := range want {
		item, ok := candidate.(map[string]any)
		if !ok {
			return want
		}
		if _, there := findItem(have, keyOfItem(item, keys)); there == nil {
			next = append(next, item)
		}
	}
	return next
}

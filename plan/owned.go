package plan

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// ownership is the tree of fields that our field manager applied, as the API
// server keeps it: `f:name` is a field, `k:{…}` an item of a keyed list, `v:…`
// an item of a set. A nil tree owns nothing.
type ownership map[string]any

// owned reads what was applied before from the live object.
func owned(live *unstructured.Unstructured) ownership {
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != v1alpha1.FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply ||
			entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var tree map[string]any
		if err := json.Unmarshal([]byte(entry.FieldsV1.GetRawString()), &tree); err == nil {
			return tree
		}
	}
	return nil
}

func (o ownership) field(name string) ownership {
	child, _ := o["f:"+name].(map[string]any)
	return child
}

// keys names the fields that identify an item of a list, nil when the list is
// not known to be keyed.
func (o ownership) keys() []string {
	for entry := range o {
		if key, ok := itemKey(entry); ok {
			names := make([]string, 0, len(key))
			for name := range key {
				names = append(names, name)
			}
			return names
		}
	}
	return nil
}

// item is the ownership within the item of a keyed list.
func (o ownership) item(match map[string]any) ownership {
	for entry, child := range o {
		if key, ok := itemKey(entry); ok && matches(match, key) {
			tree, _ := child.(map[string]any)
			return tree
		}
	}
	return nil
}

// isSet tells whether the list is known to be a set of scalars.
func (o ownership) isSet() bool {
	for entry := range o {
		if strings.HasPrefix(entry, "v:") {
			return true
		}
	}
	return false
}

func itemKey(entry string) (map[string]any, bool) {
	content, ok := strings.CutPrefix(entry, "k:")
	if !ok {
		return nil, false
	}
	var key map[string]any
	return key, json.Unmarshal([]byte(content), &key) == nil
}

func setValue(entry string) (any, bool) {
	content, ok := strings.CutPrefix(entry, "v:")
	if !ok {
		return nil, false
	}
	var value any
	return value, json.Unmarshal([]byte(content), &value) == nil
}

// matches tells whether an item has all the values of a key.
func matches(item, key map[string]any) bool {
	for name, value := range key {
		if !equalScalar(item[name], value) {
			return false
		}
	}
	return true
}

func findItem(items []any, key map[string]any) (int, map[string]any) {
	for i, candidate := range items {
		if item, ok := candidate.(map[string]any); ok && matches(item, key) {
			return i, item
		}
	}
	return -1, nil
}

func keyOfItem(item map[string]any, names []string) map[string]any {
	key := make(map[string]any, len(names))
	for _, name := range names {
		key[name] = item[name]
	}
	return key
}

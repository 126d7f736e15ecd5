package plan

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Diff lists the fields of an object that an apply would change: what is desired
// and differs, and what was applied before and is desired no longer. Fields that
// others wrote or the API server filled in are not compared. Both objects are
// normalized, the live one redacted.
func Diff(desired, live *unstructured.Unstructured) []FieldChange {
	desired = withoutSecrets(desired)
	d := differ{}
	d.object(desired, live)
	if len(d.changes) == 1 && d.changes[0].Path == stampPath {
		// The source changed in a way that lists without keys hide: look closer.
		d = differ{strict: true}
		d.object(desired, live)
	}
	return hide(desired.GroupVersionKind().GroupKind(), dropStamp(d.changes))
}

const stampPath = "metadata.annotations." + StampAnnotation

// dropStamp leaves the stamp out where another field tells more.
func dropStamp(changes []FieldChange) []FieldChange {
	if len(changes) < 2 {
		return changes
	}
	return slices.DeleteFunc(changes, func(c FieldChange) bool { return c.Path == stampPath })
}

func withoutSecrets(desired *unstructured.Unstructured) *unstructured.Unstructured {
	if !isSecret(desired) {
		return desired
	}
	desired = desired.DeepCopy()
	Redact(desired)
	return desired
}

// differ collects changes. A strict one also reports what live items of lists
// without keys have and desired ones lack; it cannot tell defaults from that.
type differ struct {
	changes []FieldChange
	strict  bool
	exact   bool
}

func (d *differ) object(desired, live *unstructured.Unstructured) {
	own := owned(live)
	for _, name := range fieldNames(desired.Object, own) {
		switch name {
		case "apiVersion", "kind", "status":
		case "metadata":
			d.metadata(desired, live, own.field("metadata"))
		default:
			d.exact = name == "data" || name == "stringData" || name == "binaryData"
			d.field(name, name, desired.Object, live.Object, own)
			d.exact = false
		}
	}
}

func (d *differ) metadata(desired, live *unstructured.Unstructured, own ownership) {
	want, _, _ := unstructured.NestedFieldNoCopy(desired.Object, "metadata")
	have, _, _ := unstructured.NestedFieldNoCopy(live.Object, "metadata")
	wanted, _ := want.(map[string]any)
	had, _ := have.(map[string]any)
	d.exact = true
	for _, name := range []string{"labels", "annotations"} {
		d.field("metadata."+name, name, wanted, had, own)
	}
	d.exact = false
}

// field compares one field of two maps.
func (d *differ) field(path, name string, desired, live map[string]any, own ownership) {
	want, wanted := desired[name]
	have, exists := live[name]
	_, applied := own["f:"+name]
	switch {
	case wanted:
		d.value(path, want, have, exists, own.field(name))
	case exists && applied:
		d.report(path, have, nil)
	}
}

func (d *differ) value(path string, want, have any, exists bool, own ownership) {
	if !exists {
		d.report(path, nil, want)
		return
	}
	switch want := want.(type) {
	case map[string]any:
		if have, ok := have.(map[string]any); ok {
			d.maps(path, want, have, own)
			return
		}
	case []any:
		if have, ok := have.([]any); ok {
			d.lists(path, want, have, own)
			return
		}
	default:
		if d.equal(want, have) {
			return
		}
	}
	d.report(path, have, want)
}

func (d *differ) equal(want, have any) bool {
	if d.exact {
		return equalScalar(want, have)
	}
	return equalMeaning(want, have)
}

func (d *differ) maps(path string, want, have map[string]any, own ownership) {
	for _, name := range fieldNames(want, own) {
		d.field(path+"."+name, name, want, have, own)
	}
}

func (d *differ) lists(path string, want, have []any, own ownership) {
	switch keys := own.keys(); {
	case keys != nil:
		d.keyed(path, want, have, keys, own)
	case own.isSet():
		d.set(path, want, have, own)
	default:
		d.atomic(path, want, have)
	}
}

// keyed compares lists whose items are identified by some of their fields.
func (d *differ) keyed(path string, want, have []any, keys []string, own ownership) {
	for i, item := range want {
		wanted, ok := item.(map[string]any)
		if !ok {
			d.report(path, have, want)
			return
		}
		key := keyOfItem(wanted, keys)
		_, found := findItem(have, key)
		if found == nil {
			d.report(path+"."+strconv.Itoa(i), nil, item)
			continue
		}
		d.maps(path+"."+strconv.Itoa(i), wanted, found, own.item(wanted))
	}
	for entry := range own {
		key, ok := itemKey(entry)
		if !ok {
			continue
		}
		if _, still := findItem(want, key); still != nil {
			continue
		}
		if i, found := findItem(have, key); found != nil {
			d.report(path+"."+strconv.Itoa(i), found, nil)
		}
	}
}

func (d *differ) set(path string, want, have []any, own ownership) {
	for _, value := range want {
		if !contains(have, value) {
			d.report(path, nil, value)
		}
	}
	for entry := range own {
		value, ok := setValue(entry)
		if ok && contains(have, value) && !contains(want, value) {
			d.report(path, value, nil)
		}
	}
}

// atomic compares lists that are replaced as a whole. Items may hold fields that
// the API server filled in, so that a lenient look compares desired fields only.
func (d *differ) atomic(path string, want, have []any) {
	if len(want) != len(have) {
		d.resized(path, want, have)
		return
	}
	for i := range want {
		d.item(path+"."+strconv.Itoa(i), want[i], have[i])
	}
}

// resized reports what was put at or taken from the end of a list, or the whole
// list where the change is not that simple.
func (d *differ) resized(path string, want, have []any) {
	common := min(len(want), len(have))
	probe := differ{strict: d.strict, exact: d.exact}
	probe.atomic(path, want[:common], have[:common])
	if len(probe.changes) > 0 {
		d.report(path, have, want)
		return
	}
	for i := common; i < len(want); i++ {
		d.report(path+"."+strconv.Itoa(i), nil, want[i])
	}
	for i := common; i < len(have); i++ {
		d.report(path+"."+strconv.Itoa(i), have[i], nil)
	}
}

func (d *differ) item(path string, want, have any) {
	wanted, isMap := want.(map[string]any)
	had, wasMap := have.(map[string]any)
	if !isMap || !wasMap {
		d.value(path, want, have, true, nil)
		return
	}
	d.maps(path, wanted, had, nil)
	if !d.strict {
		return
	}
	for _, name := range fieldNames(had, nil) {
		if _, wanted := wanted[name]; !wanted {
			d.report(path+"."+name, had[name], nil)
		}
	}
}

func (d *differ) report(path string, from, to any) {
	d.changes = append(d.changes, FieldChange{Path: path, From: from, To: to})
}

// fieldNames lists the fields of a map and those owned in it, sorted.
func fieldNames(fields map[string]any, own ownership) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	for entry := range own {
		name, ok := cutField(entry)
		if _, known := fields[name]; ok && !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func contains(list []any, value any) bool {
	return slices.ContainsFunc(list, func(candidate any) bool { return equalScalar(candidate, value) })
}

package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// markRenames notes on created objects which leaving object they seem to be:
// the same kind and namespace, and desired exactly as the other one is. Only a
// pair that is unambiguous is reported.
func markRenames(changes []Change, desired []*unstructured.Unstructured, live map[Key]*unstructured.Unstructured) {
	wanted := make(map[Key]*unstructured.Unstructured, len(desired))
	for _, u := range desired {
		wanted[KeyOf(u)] = u
	}
	for i := range changes {
		if changes[i].Verdict != Create || changes[i].Reason != "" {
			continue
		}
		if old, ok := formerName(wanted[changes[i].Key()], changes, live); ok {
			changes[i].RenamedFrom = old.Name
			changes[i].Message = "seems to be " + old.String() + " under a new name; a new object is made, nothing is carried over"
		}
	}
}

func formerName(created *unstructured.Unstructured, changes []Change, live map[Key]*unstructured.Unstructured) (Key, bool) {
	var found []Key
	for _, c := range changes {
		if c.Verdict != Destroy && c.Verdict != Retain {
			continue
		}
		if key := c.Key(); sameButName(created, live[key]) {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		return Key{}, false
	}
	return found[0], true
}

func sameButName(created, old *unstructured.Unstructured) bool {
	x, y := KeyOf(created), KeyOf(old)
	x.Name, y.Name = "", ""
	if x != y || !hasContentFields(created) {
		return false
	}
	probe := differ{}
	own := owned(old)
	desired := withoutSecrets(created)
	for _, name := range fieldNames(desired.Object, own) {
		if name != "apiVersion" && name != "kind" && name != "metadata" && name != "status" {
			probe.field(name, name, desired.Object, old.Object, own)
		}
	}
	return len(probe.changes) == 0
}

// hasContentFields tells whether an object is more than its name.
func hasContentFields(u *unstructured.Unstructured) bool {
	for name := range u.Object {
		if name != "apiVersion" && name != "kind" && name != "metadata" && name != "status" {
			return true
		}
	}
	return false
}

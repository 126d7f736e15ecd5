package kustomize

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

// reference is a field of one of our kinds that names another object.
//
// Renames are followed here and not by kustomize's name references, which look at the name alone: with a disk and an
// image of one name they may follow the wrong one, and they compare each reference with each object.
type reference struct {
	// path leads to the mapping that holds the name; lists on the way are entered.
	path string
	// key is the field of that mapping that holds the name.
	key string
	// kind is what is named; empty means that the field kind beside the name says it.
	kind string
}

// references of each kind. It covers what the platform's own kustomize configurations list, and what those leave out.
var references = map[string][]reference{
	"VirtualMachine": {
		{"spec/blockDeviceRefs", "name", ""},
		{"spec/provisioning/userDataRef", "name", "Secret"},
		{"spec/provisioning/sysprepRef", "name", "Secret"},
		{"spec", "virtualMachineClassName", "VirtualMachineClass"},
		{"spec", "virtualMachineIPAddressName", "VirtualMachineIPAddress"},
		{"spec/networks", "virtualMachineMACAddressName", "VirtualMachineMACAddress"},
	},
	"VirtualDisk":                         fromDataSource,
	"VirtualImage":                        fromDataSource,
	"ClusterVirtualImage":                 fromDataSource,
	"VirtualDiskSnapshot":                 {{"spec", "virtualDiskName", "VirtualDisk"}},
	"VirtualMachineSnapshot":              {{"spec", "virtualMachineName", "VirtualMachine"}},
	"VirtualMachineRestore":               {{"spec", "virtualMachineSnapshotName", "VirtualMachineSnapshot"}},
	"VirtualMachineSnapshotOperation":     {{"spec", "virtualMachineSnapshotName", "VirtualMachineSnapshot"}},
	"VirtualMachineOperation":             {{"spec", "virtualMachineName", "VirtualMachine"}, {"spec/restore", "virtualMachineSnapshotName", "VirtualMachineSnapshot"}},
	"VirtualMachineBlockDeviceAttachment": {{"spec", "virtualMachineName", "VirtualMachine"}, {"spec/blockDeviceRef", "name", ""}},
}

var fromDataSource = []reference{
	{"spec/dataSource/objectRef", "name", ""},
	{"spec/dataSource/containerImage/imagePullSecret", "name", "Secret"},
}

// known reports whether a name reference that a source configures for kustomize is one that we follow ourselves.
func known(target resid.Gvk, f types.FieldSpec) bool {
	for _, group := range []string{f.Group, target.Group} {
		if group != "" && group != virtualization {
			return false
		}
	}
	path := strings.ReplaceAll(f.Path, "[]", "")
	return slices.ContainsFunc(references[f.Kind], func(r reference) bool {
		return r.path+"/"+r.key == path && (r.kind == "" || r.kind == target.Kind)
	})
}

// rendered is an object and what it was called in the source.
type rendered struct {
	*unstructured.Unstructured
	source place
}

func (r rendered) group() string { return r.GroupVersionKind().Group }

// around returns what was put before and after the name on its way; ok is false when the name was replaced.
func (r rendered) around() (prefix, suffix string, ok bool) {
	i := strings.Index(r.GetName(), r.source.name)
	if r.source.name == "" || i < 0 {
		return "", "", false
	}
	return r.GetName()[:i], r.GetName()[i+len(r.source.name):], true
}

// renames finds objects by the names that they had in the source.
type renames struct {
	bySource map[identity][]rendered // namespace left empty
	current  map[identity]bool
}

func newRenames(objects []rendered) *renames {
	r := &renames{bySource: map[identity][]rendered{}, current: map[identity]bool{}}
	for _, o := range objects {
		r.current[identity{kind: o.GetKind(), name: o.GetName()}] = true
		if o.source.name == "" || o.group() != virtualization && o.GetKind() != "Secret" {
			continue
		}
		key := identity{kind: o.GetKind(), name: o.source.name}
		r.bySource[key] = append(r.bySource[key], o)
	}
	return r
}

// follow sets the references of an object to the names that their targets have now.
func (r *renames) follow(from rendered) error {
	if from.group() != virtualization {
		return nil
	}
	for _, ref := range references[from.GetKind()] {
		if err := r.enter(from, ref, from.Object, strings.Split(ref.path, "/")); err != nil {
			return err
		}
	}
	return nil
}

func (r *renames) enter(from rendered, ref reference, value any, path []string) error {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if err := r.enter(from, ref, item, path); err != nil {
				return err
			}
		}
	case map[string]any:
		if len(path) > 0 {
			return r.enter(from, ref, v[path[0]], path[1:])
		}
		return r.update(from, ref, v)
	}
	return nil
}

func (r *renames) update(from rendered, ref reference, holder map[string]any) error {
	name, _ := holder[ref.key].(string)
	kind := ref.kind
	if kind == "" {
		kind, _ = holder["kind"].(string)
	}
	if name == "" || kind == "" {
		return nil
	}
	namespace, _ := holder["namespace"].(string)
	if namespace == "" {
		namespace = from.GetNamespace()
	}
	target, err := r.target(from, kind, namespace, name)
	if err == nil && target != "" {
		holder[ref.key] = target
	}
	return err
}

// target returns what an object is called now, or "" when the bundle does not have it.
func (r *renames) target(from rendered, kind, namespace, name string) (string, error) {
	var candidates []rendered
	for _, c := range r.bySource[identity{kind: kind, name: name}] {
		if c.GetNamespace() == "" || from.GetNamespace() == "" || c.GetNamespace() == namespace {
			candidates = append(candidates, c)
		}
	}
	if len(candidates) > 1 {
		candidates = nearest(from, candidates)
	}
	names := map[string]bool{}
	for _, c := range candidates {
		names[c.GetName()] = true
	}
	switch len(names) {
	case 0:
		return r.halfway(from, kind, name), nil
	case 1:
		return candidates[0].GetName(), nil
	}
	return "", ambiguous(from, kind, name, candidates)
}

func ambiguous(from rendered, kind, name string, candidates []rendered) *Error {
	var list []string
	for _, c := range candidates {
		list = append(list, c.GetName()+" ("+c.source.position()+")")
	}
	return &Error{
		File: from.source.file, Line: from.source.line, Object: from.GetKind() + "/" + from.GetName(),
		Problem: fmt.Sprintf("refers to %s/%s, which is rendered as %s", kind, name, strings.Join(list, " and ")),
		Remedy:  "render both in the overlay that renames one of them, or write the new name",
	}
}

// nearest keeps the candidates that went through the most of the same overlays, which shows in what was put around
// their names.
func nearest(from rendered, candidates []rendered) []rendered {
	best, found := -1, []rendered(nil)
	for _, c := range candidates {
		switch score := kinship(from, c); {
		case score > best:
			best, found = score, []rendered{c}
		case score == best:
			found = append(found, c)
		}
	}
	return found
}

// kinship is 0 when the names of two objects were changed in different ways, and otherwise grows with what they have in
// common. The outermost overlay stands at the ends of a name.
func kinship(a, b rendered) int {
	prefixA, suffixA, okA := a.around()
	prefixB, suffixB, okB := b.around()
	if !okA || !okB {
		return 0
	}
	samePrefix := strings.HasPrefix(prefixA, prefixB) || strings.HasPrefix(prefixB, prefixA)
	sameSuffix := strings.HasSuffix(suffixA, suffixB) || strings.HasSuffix(suffixB, suffixA)
	if !samePrefix || !sameSuffix {
		return 0
	}
	score := 1 + min(len(prefixA), len(prefixB)) + min(len(suffixA), len(suffixB))
	if prefixA == prefixB && suffixA == suffixB {
		score++
	}
	return score
}

// halfway finds an object by a name that it had after some overlays and before others: an outer overlay may name what
// an inner one has renamed.
func (r *renames) halfway(from rendered, kind, name string) string {
	if r.current[identity{kind: kind, name: name}] {
		return ""
	}
	found := map[string]bool{}
	for key, list := range r.bySource {
		if key.kind != kind || !strings.Contains(name, key.name) {
			continue
		}
		for _, c := range list {
			if c.GetNamespace() == from.GetNamespace() && passed(c, name) {
				found[c.GetName()] = true
			}
		}
	}
	if len(found) != 1 {
		return ""
	}
	for name := range found {
		return name
	}
	return ""
}

// passed reports whether an object may have had a name between its first and its last.
func passed(c rendered, name string) bool {
	prefix, suffix, ok := c.around()
	before, after, found := strings.Cut(name, c.source.name)
	return ok && found && strings.HasSuffix(prefix, before) && strings.HasPrefix(suffix, after)
}

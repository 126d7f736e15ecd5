package plan

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// violation is a change that the API server or a controller would refuse.
type violation struct {
	message string
	// refuse says that not even a new object can help.
	refuse bool
}

// rule forbids a change of the fields at and below a path.
type rule struct {
	path string
	// when limits the rule to objects in some state; nil means always.
	when func(live *unstructured.Unstructured) bool
	// broken decides by the values; nil means that any change breaks the rule.
	broken  func(change FieldChange, live *unstructured.Unstructured) bool
	refuse  bool
	message string
}

// rules are the fields that cannot change in place, by kind.
var rules = map[schema.GroupKind][]rule{
	{Group: virtualization, Kind: "VirtualDisk"}: {
		{path: "spec.persistentVolumeClaim.size", broken: shrinks, refuse: true, message: "a disk cannot shrink; give the smaller disk a new name"},
		{path: "spec.dataSource", when: hasContent, message: "the data source of a disk that has its content cannot change; a new disk is made from the new source and the content of this one is lost"},
	},
	{Group: virtualization, Kind: "VirtualImage"}: {
		{path: "spec", when: hasContent, message: "an image that has its content cannot change; it is imported again"},
	},
	{Group: virtualization, Kind: "ClusterVirtualImage"}: {
		{path: "spec", when: hasContent, message: "an image that has its content cannot change; it is imported again"},
	},
	{Group: virtualization, Kind: "VirtualMachineClass"}: {
		{path: "spec.cpu", refuse: true, message: "spec.cpu of a class cannot change; give the new class a new name"},
	},
	{Group: virtualization, Kind: "VirtualMachineBlockDeviceAttachment"}: {
		{path: "spec", message: "an attachment cannot change; it is detached and attached again"},
	},
	{Group: virtualization, Kind: "VirtualMachineOperation"}: {
		{path: "spec", message: "an operation cannot change; it is made again, which runs it again"},
	},
	{Group: virtualization, Kind: "VirtualMachineSnapshotOperation"}: {
		{path: "spec", message: "an operation cannot change; it is made again, which runs it again"},
	},
	{Group: virtualization, Kind: "VirtualMachineRestore"}: {
		{path: "spec", message: "a restore cannot change; it is made again, which runs it again"},
	},
	{Group: virtualization, Kind: "VirtualDiskSnapshot"}: {
		{path: "spec", message: "a snapshot cannot change; a new one is taken and this one is lost"},
	},
	{Group: virtualization, Kind: "VirtualMachineSnapshot"}: {
		{path: "spec", message: "a snapshot cannot change; a new one is taken and this one is lost"},
	},
	{Kind: "PersistentVolumeClaim"}: {
		{path: "spec.resources.requests.storage", broken: shrinks, refuse: true, message: "a claim cannot shrink; give the smaller claim a new name"},
		{path: "spec", broken: notResources, message: "a claim cannot change; a new one is made and the content of this one is lost"},
	},
	{Group: cdi, Kind: "DataVolume"}: {
		{path: "spec", message: "a DataVolume cannot change; a new one is made and the content of this one is lost"},
	},
	secretKind: {
		{path: "type", message: "the type of a Secret cannot change"},
		{path: "data", when: declaredImmutable, message: "the Secret is immutable"},
	},
	{Kind: "ConfigMap"}: {
		{path: "data", when: declaredImmutable, message: "the ConfigMap is immutable"},
		{path: "binaryData", when: declaredImmutable, message: "the ConfigMap is immutable"},
	},
	{Group: rbac, Kind: "RoleBinding"}:        {{path: "roleRef", message: "the role of a binding cannot change"}},
	{Group: rbac, Kind: "ClusterRoleBinding"}: {{path: "roleRef", message: "the role of a binding cannot change"}},
}

// immutable finds the worst violation among the changes of an object.
func immutable(live *unstructured.Unstructured, fields []FieldChange) *violation {
	var worst *violation
	for _, r := range rules[live.GroupVersionKind().GroupKind()] {
		for _, field := range fields {
			if !r.breaks(field, live) {
				continue
			}
			v := &violation{message: fmt.Sprintf("%s: %s", field.Path, r.message), refuse: r.refuse}
			if worst == nil || v.refuse && !worst.refuse {
				worst = v
			}
		}
	}
	return worst
}

func (r rule) breaks(change FieldChange, live *unstructured.Unstructured) bool {
	if !within(change.Path, r.path) {
		return false
	}
	if r.when != nil && !r.when(live) {
		return false
	}
	return r.broken == nil || r.broken(change, live)
}

// contentPhases are those of disks and images whose content is not there yet, or
// never came: their source may still change.
var contentPhases = map[string]bool{"": true, "Pending": true, "Provisioning": true, "WaitForUserUpload": true, "Failed": true}

func hasContent(live *unstructured.Unstructured) bool {
	phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
	return !contentPhases[phase]
}

func declaredImmutable(live *unstructured.Unstructured) bool {
	immutable, _, _ := unstructured.NestedBool(live.Object, "immutable")
	return immutable
}

func notResources(change FieldChange, _ *unstructured.Unstructured) bool {
	return !strings.HasPrefix(change.Path, "spec.resources")
}

func shrinks(change FieldChange, _ *unstructured.Unstructured) bool {
	from, fromErr := resource.ParseQuantity(fmt.Sprint(change.From))
	to, toErr := resource.ParseQuantity(fmt.Sprint(change.To))
	return fromErr == nil && toErr == nil && to.Cmp(from) < 0
}

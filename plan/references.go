package plan

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// reference says that a field of a kind names an object.
type reference struct {
	// path of the map or string; [] walks a list.
	path string
	// kind that is named; when empty, the map's own field kind says it.
	kind schema.GroupKind
	// cluster says that the named object has no namespace.
	cluster bool
}

func vk(kind string) schema.GroupKind { return schema.GroupKind{Group: virtualization, Kind: kind} }

var imageSource = []reference{
	{path: "spec.dataSource.objectRef"},
	{path: "spec.dataSource.containerImage.imagePullSecret.name", kind: secretKind},
}

// references lists the fields by which kinds name others.
var references = map[schema.GroupKind][]reference{
	vk("ClusterVirtualImage"): imageSource,
	vk("VirtualImage"):        imageSource,
	vk("VirtualDisk"):         imageSource,
	vk("VirtualMachine"): {
		{path: "spec.virtualMachineClassName", kind: vk("VirtualMachineClass"), cluster: true},
		{path: "spec.virtualMachineIPAddressName", kind: vk("VirtualMachineIPAddress")},
		{path: "spec.blockDeviceRefs[]"},
		{path: "spec.provisioning.userDataRef.name", kind: secretKind},
		{path: "spec.provisioning.sysprepRef.name", kind: secretKind},
		{path: "spec.networks[].virtualMachineMACAddressName", kind: vk("VirtualMachineMACAddress")},
		{path: "spec.networks[].ipAddressName", kind: vk("VirtualMachineIPAddress")},
	},
	vk("VirtualMachineBlockDeviceAttachment"): {
		{path: "spec.virtualMachineName", kind: vk("VirtualMachine")},
		{path: "spec.blockDeviceRef"},
	},
	vk("VirtualMachineOperation"): {
		{path: "spec.virtualMachineName", kind: vk("VirtualMachine")},
		{path: "spec.restore.virtualMachineSnapshotName", kind: vk("VirtualMachineSnapshot")},
	},
	vk("VirtualDiskSnapshot"):    {{path: "spec.virtualDiskName", kind: vk("VirtualDisk")}},
	vk("VirtualMachineSnapshot"): {{path: "spec.virtualMachineName", kind: vk("VirtualMachine")}},
	vk("VirtualMachineRestore"):  {{path: "spec.virtualMachineSnapshotName", kind: vk("VirtualMachineSnapshot")}},
	vk("VirtualMachineSnapshotOperation"): {
		{path: "spec.virtualMachineSnapshotName", kind: vk("VirtualMachineSnapshot")},
	},
	{Group: rbac, Kind: "RoleBinding"}: {{path: "roleRef"}},
}

// References lists the keys of the objects that an object names, whether or not
// they exist. Its namespace is one of them.
func References(u *unstructured.Unstructured) []Key {
	var keys []Key
	if ns := u.GetNamespace(); ns != "" {
		keys = append(keys, Key{Kind: "Namespace", Name: ns})
	}
	for _, r := range references[u.GroupVersionKind().GroupKind()] {
		for _, value := range lookup(u.Object, strings.Split(r.path, ".")) {
			if key, ok := r.target(u, value); ok {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// target is the key that the value of a reference names.
func (r reference) target(u *unstructured.Unstructured, value any) (Key, bool) {
	key := Key{Group: r.kind.Group, Kind: r.kind.Kind, Namespace: u.GetNamespace()}
	switch v := value.(type) {
	case string:
		key.Name = v
	case map[string]any:
		key.Name, _ = v["name"].(string)
		key.Kind, _ = v["kind"].(string)
		key.Group = u.GroupVersionKind().Group
		if ns, ok := v["namespace"].(string); ok {
			key.Namespace = ns
		}
	}
	if r.cluster || key.Kind == "ClusterVirtualImage" || key.Kind == "ClusterRole" {
		key.Namespace = ""
	}
	return key, key.Name != "" && key.Kind != ""
}

// lookup finds the values at a path, walking lists where the path says [].
func lookup(value any, path []string) []any {
	if len(path) == 0 {
		return []any{value}
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	child, ok := fields[name]
	if !ok {
		return nil
	}
	if !isList {
		return lookup(child, path[1:])
	}
	items, _ := child.([]any)
	var found []any
	for _, item := range items {
		found = append(found, lookup(item, path[1:])...)
	}
	return found
}

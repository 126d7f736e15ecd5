package kustomize

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

const virtualization = "virtualization.deckhouse.io"

// configuration is the part of a kustomize transformer configuration that we fill in, in its file format.
type configuration struct {
	NameReference []nameReference `json:"nameReference,omitempty"`
	Namespace     []field         `json:"namespace,omitempty"`
	Images        []field         `json:"images,omitempty"`
}

// nameReference lists the fields that hold the name of an object of some kind.
type nameReference struct {
	resid.Gvk `json:",inline"`
	Fields    []field `json:"fieldSpecs"`
}

type field = types.FieldSpec

// references says which kinds name which other kinds, and where. It covers what the platform's own kustomize
// configurations list, and the fields that those leave out.
var references = []struct {
	target string
	fields map[string][]string // kind of the referrer → paths
}{
	{"VirtualImage", map[string][]string{
		"VirtualImage": {"spec/dataSource/objectRef/name"}, "ClusterVirtualImage": {"spec/dataSource/objectRef/name"},
		"VirtualDisk": {"spec/dataSource/objectRef/name"}, "VirtualMachine": {"spec/blockDeviceRefs/name"},
		"VirtualMachineBlockDeviceAttachment": {"spec/blockDeviceRef/name"},
	}},
	{"ClusterVirtualImage", map[string][]string{
		"VirtualImage": {"spec/dataSource/objectRef/name"}, "ClusterVirtualImage": {"spec/dataSource/objectRef/name"},
		"VirtualDisk": {"spec/dataSource/objectRef/name"}, "VirtualMachine": {"spec/blockDeviceRefs/name"},
		"VirtualMachineBlockDeviceAttachment": {"spec/blockDeviceRef/name"},
	}},
	{"VirtualDisk", map[string][]string{
		"VirtualImage": {"spec/dataSource/objectRef/name"}, "ClusterVirtualImage": {"spec/dataSource/objectRef/name"},
		"VirtualMachine": {"spec/blockDeviceRefs/name"}, "VirtualMachineBlockDeviceAttachment": {"spec/blockDeviceRef/name"},
		"VirtualDiskSnapshot": {"spec/virtualDiskName"},
	}},
	{"VirtualDiskSnapshot", map[string][]string{
		"VirtualImage": {"spec/dataSource/objectRef/name"}, "ClusterVirtualImage": {"spec/dataSource/objectRef/name"},
		"VirtualDisk": {"spec/dataSource/objectRef/name"},
	}},
	{"VirtualMachine", map[string][]string{
		"VirtualMachineBlockDeviceAttachment": {"spec/virtualMachineName"},
		"VirtualMachineOperation":             {"spec/virtualMachineName"},
		"VirtualMachineSnapshot":              {"spec/virtualMachineName"},
	}},
	{"VirtualMachineSnapshot", map[string][]string{
		"VirtualMachineRestore":           {"spec/virtualMachineSnapshotName"},
		"VirtualMachineOperation":         {"spec/restore/virtualMachineSnapshotName"},
		"VirtualMachineSnapshotOperation": {"spec/virtualMachineSnapshotName"},
	}},
	{"VirtualMachineClass", map[string][]string{"VirtualMachine": {"spec/virtualMachineClassName"}}},
	{"VirtualMachineIPAddress", map[string][]string{"VirtualMachine": {"spec/virtualMachineIPAddressName"}}},
	{"VirtualMachineMACAddress", map[string][]string{"VirtualMachine": {"spec/networks/virtualMachineMACAddressName"}}},
}

// secretReferences are the fields of our kinds that hold the name of a Secret.
var secretReferences = map[string][]string{
	"VirtualMachine": {"spec/provisioning/userDataRef/name", "spec/provisioning/sysprepRef/name"},
	"VirtualImage":   {"spec/dataSource/containerImage/imagePullSecret/name"},
	"VirtualDisk":    {"spec/dataSource/containerImage/imagePullSecret/name"},
	"ClusterVirtualImage": {
		"spec/dataSource/containerImage/imagePullSecret/name",
	},
}

// imageField is where VirtualImage, ClusterVirtualImage and VirtualDisk name an image in a registry.
const imageField = "spec/dataSource/containerImage/image"

// clusterScoped are our kinds that have no namespace, by version.
var clusterScoped = map[string][]string{
	"v1alpha2": {"ClusterVirtualImage", "VirtualMachineClass", "VirtualMachineIPAddressLease", "VirtualMachineMACAddressLease", "NodeUSBDevice"},
	"v1alpha3": {"VirtualMachineClass"},
}

func fieldOf(kind, path string) field {
	return field{Gvk: resid.Gvk{Group: virtualization, Kind: kind}, Path: path}
}

func fieldsOf(paths map[string][]string) []field {
	var fields []field
	for kind, list := range paths {
		for _, path := range list {
			fields = append(fields, fieldOf(kind, path))
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.Kind+a.Path, b.Kind+b.Path) })
	return fields
}

// defaults is the configuration for kinds of the virtualization API, with and without its name references: kustomize
// fixes references once, at the top, but sets namespaces and images at each level.
var defaults = sync.OnceValues(func() (all, level []byte) {
	c := configuration{Namespace: []field{
		fieldOf("ClusterVirtualImage", "spec/dataSource/objectRef/namespace"),
		fieldOf("ClusterVirtualImage", "spec/dataSource/containerImage/imagePullSecret/namespace"),
	}}
	for _, kind := range []string{"VirtualImage", "ClusterVirtualImage", "VirtualDisk"} {
		c.Images = append(c.Images, fieldOf(kind, imageField))
	}
	level = mustMarshal(c)
	for _, r := range references {
		c.NameReference = append(c.NameReference, nameReference{resid.Gvk{Group: virtualization, Kind: r.target}, fieldsOf(r.fields)})
	}
	c.NameReference = append(c.NameReference, nameReference{resid.Gvk{Version: "v1", Kind: "Secret"}, fieldsOf(secretReferences)})
	return mustMarshal(c), level
})

func mustMarshal(c configuration) []byte {
	text, err := yaml.Marshal(c)
	if err != nil {
		panic("the built-in configuration does not encode: " + err.Error())
	}
	return text
}

// known reports whether a name reference that a source configures is one of the defaults already. Having it twice
// could rename twice.
func known(target resid.Gvk, f field) bool {
	ours := func(group string) bool { return group == "" || group == virtualization }
	if !ours(f.Group) {
		return false
	}
	if target.Kind == "Secret" {
		return contains(secretReferences[f.Kind], f.Path)
	}
	for _, r := range references {
		if r.target == target.Kind && ours(target.Group) && contains(r.fields[f.Kind], f.Path) {
			return true
		}
	}
	return false
}

func contains(list []string, path string) bool {
	return slices.Contains(list, strings.ReplaceAll(path, "[]", ""))
}

// learnScopes teaches kustomize, once per process, which of our kinds have no namespace, and makes it parse its own
// schema: both write to globals that renders then only read.
var learnScopes = sync.OnceValue(func() error {
	type operation struct {
		Kind map[string]string `json:"x-kubernetes-group-version-kind"`
	}
	paths := map[string]map[string]operation{}
	for version, kinds := range clusterScoped {
		for _, kind := range kinds {
			gvk := map[string]string{"group": virtualization, "version": version, "kind": kind}
			paths["/apis/"+virtualization+"/"+version+"/"+strings.ToLower(kind)+"/{name}"] = map[string]operation{"get": {gvk}}
		}
	}
	text, err := json.Marshal(map[string]any{"swagger": "2.0", "info": map[string]string{"title": "scopes", "version": "1"}, "paths": paths})
	if err != nil {
		return fmt.Errorf("encode scopes: %w", err)
	}
	openapi.Schema()
	if err := openapi.AddSchema(text); err != nil {
		return fmt.Errorf("teach kustomize the scopes of our kinds: %w", err)
	}
	return nil
})

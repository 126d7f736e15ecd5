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

// defaultConfiguration is what kustomize is told about the kinds of the virtualization API: where they name a
// namespace other than their own, and where they name an image in a registry. Their name references are not there,
// see references.
var defaultConfiguration = sync.OnceValue(func() []byte {
	fields := func(path string, kinds ...string) []types.FieldSpec {
		var list []types.FieldSpec
		for _, kind := range kinds {
			list = append(list, types.FieldSpec{Gvk: resid.Gvk{Group: virtualization, Kind: kind}, Path: path})
		}
		return list
	}
	text, err := yaml.Marshal(map[string]any{
		"namespace": slices.Concat(
			fields("spec/dataSource/objectRef/namespace", "ClusterVirtualImage"),
			fields("spec/dataSource/containerImage/imagePullSecret/namespace", "ClusterVirtualImage"),
		),
		"images": fields("spec/dataSource/containerImage/image", "VirtualImage", "ClusterVirtualImage", "VirtualDisk"),
	})
	if err != nil {
		panic("the built-in configuration does not encode: " + err.Error())
	}
	return text
})

// clusterScoped are the kinds of the virtualization API that have no namespace, by version.
var clusterScoped = map[string][]string{
	"v1alpha2": {"ClusterVirtualImage", "VirtualMachineClass", "VirtualMachineIPAddressLease", "VirtualMachineMACAddressLease", "NodeUSBDevice"},
	"v1alpha3": {"VirtualMachineClass"},
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

package kustomize_test

import (
	"context"
	"errors"
	"fmt"
	"testing/fstest"

	"slipway.dev/slipway/render/kustomize"
)

func Example() {
	source := fstest.MapFS{"apps/vm.yaml": {Data: []byte(`apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: web
spec:
  blockDeviceRefs: [{kind: VirtualDisk, name: root}]
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: root
`)}}
	objects, err := kustomize.Render(context.Background(), source, kustomize.Options{Path: "apps", TargetNamespace: "shop", NamePrefix: "dev-"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, u := range objects {
		file, line := kustomize.Origin(u)
		kustomize.StripOrigin(u)
		fmt.Printf("%s:%d: %s %s/%s\n", file, line, u.GetKind(), u.GetNamespace(), u.GetName())
	}
	// Output:
	// apps/vm.yaml:1: VirtualMachine shop/dev-web
	// apps/vm.yaml:8: VirtualDisk shop/dev-root
}

func ExampleError() {
	source := fstest.MapFS{"kustomization.yaml": {Data: []byte("resources:\n- https://example.com/vm.yaml\n")}}
	_, err := kustomize.Render(context.Background(), source, kustomize.Options{})
	var fault *kustomize.Error
	if errors.As(err, &fault) {
		fmt.Printf("%s, line %d: %s\n%s\n", fault.File, fault.Line, fault.Problem, fault.Remedy)
	}
	// Output:
	// kustomization.yaml, line 2: "https://example.com/vm.yaml" is an address; nothing is fetched while rendering
	// copy it into the source and name the copy
}

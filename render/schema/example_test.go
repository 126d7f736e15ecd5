package schema_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/render/schema"
)

func Example() {
	source := fstest.MapFS{"disk.yaml": {Data: []byte(`apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: root
spec:
  persistentVolumeClaim:
    sise: 10Gi
`)}}
	ctx := context.Background()
	validator, _ := schema.FromFS(crd.Files)
	objects, _ := kustomize.Render(ctx, source, kustomize.Options{})
	for _, fault := range validator.Validate(ctx, objects, source) {
		fmt.Println(fault)
	}
	// Output:
	// disk.yaml:7: VirtualDisk/root: spec.persistentVolumeClaim.sise: unknown field; check its spelling and indentation
}

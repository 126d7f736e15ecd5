package v1alpha2_test

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// A scheme with the module kinds turns manifests into Go values.
func Example() {
	scheme := runtime.NewScheme()
	if err := v1alpha2.AddToScheme(scheme); err != nil {
		panic(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	object, _, err := decoder.Decode([]byte(`
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata: {name: data}
spec: {persistentVolumeClaim: {size: 10Gi}}
`), nil, nil)
	if err != nil {
		panic(err)
	}
	disk := object.(*v1alpha2.VirtualDisk)
	fmt.Println(disk.Name, disk.Spec.PersistentVolumeClaim.Size)
	// Output: data 10Gi
}

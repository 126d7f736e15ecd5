package plan_test

import (
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/plan"
)

// A first revision creates its objects, in the order in which they refer to each
// other.
func ExampleCompute() {
	owner := types.NamespacedName{Namespace: "team", Name: "prod"}
	thing := func(kind, name string, spec map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "virtualization.deckhouse.io/v1alpha2", "kind": kind,
			"metadata": map[string]any{"namespace": "team", "name": name}, "spec": spec,
		}}
		plan.Own(u, owner)
		plan.Normalize(u)
		plan.Stamp(u)
		return u
	}
	p := plan.Compute(plan.Input{Owner: owner, Desired: []*unstructured.Unstructured{
		thing("VirtualMachine", "web", map[string]any{"blockDeviceRefs": []any{map[string]any{"kind": "VirtualDisk", "name": "root"}}}),
		thing("VirtualDisk", "root", map[string]any{}),
	}})
	if err := plan.Text(os.Stdout, p); err != nil {
		fmt.Println(err)
	}
	// Output:
	//   + Create   VirtualDisk team/root
	//   + Create   VirtualMachine team/web
	// 2 to create
}

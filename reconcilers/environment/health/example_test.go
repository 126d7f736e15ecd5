package health_test

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/reconcilers/environment/health"
)

// A machine that Git wants stopped is healthy when it is stopped.
func ExampleOf() {
	machine := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "virtualization.deckhouse.io/v1alpha2", "kind": "VirtualMachine",
		"metadata": map[string]any{"name": "web"},
		"spec":     map[string]any{"runPolicy": "AlwaysOff"},
		"status":   map[string]any{"phase": "Stopped"},
	}}
	h := health.Of(machine, time.Now())
	fmt.Println(h.State, h.Message)
	// Output: Healthy is Stopped, as its run policy AlwaysOff allows
}

package environment

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/machine/change"
)

// Deciders are those of the module kinds.
func Deciders() map[schema.GroupKind]plan.Decider {
	return map[schema.GroupKind]plan.Decider{
		{Group: v1alpha2.GroupName, Kind: "VirtualMachine"}: decideMachine,
	}
}

// atRest are the phases in which a machine takes every change at once.
var atRest = map[v1alpha2.MachinePhase]bool{"": true, v1alpha2.MachinePending: true, v1alpha2.MachineStopped: true}

// decideMachine asks the table by which the machine reconciler acts.
func decideMachine(live, next *unstructured.Unstructured) (plan.Verdict, error) {
	phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
	if atRest[v1alpha2.MachinePhase(phase)] {
		return plan.Live, nil
	}
	current, err := machineSpec(live)
	if err != nil {
		return "", err
	}
	desired, err := machineSpec(next)
	if err != nil {
		return "", err
	}
	if change.Largest(change.Diff(current, desired)) == change.Restart {
		return plan.Restart, nil
	}
	return plan.Live, nil
}

func machineSpec(u *unstructured.Unstructured) (*v1alpha2.VirtualMachineSpec, error) {
	spec, _, err := unstructured.NestedMap(u.Object, "spec")
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	parsed := &v1alpha2.VirtualMachineSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, parsed); err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	return parsed, nil
}

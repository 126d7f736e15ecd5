package admission

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/reconcilers/class/sizing"
)

// defaulter fills what a machine leaves open.
type defaulter struct {
	reader  client.Reader
	decoder admission.Decoder
}

// Handle answers one review with a patch of the fields that were left open, and
// of nothing else.
func (d defaulter) Handle(ctx context.Context, request admission.Request) admission.Response {
	vm := &v1alpha2.VirtualMachine{}
	if err := d.decoder.Decode(request, vm); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if !vm.DeletionTimestamp.IsZero() {
		return admission.Allowed("")
	}
	class, err := d.classFor(ctx, vm)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.Patched("", defaults(&vm.Spec, class)...)
}

// classFor is the class that the machine names, or the default one; nil when
// there is none.
func (d defaulter) classFor(ctx context.Context, vm *v1alpha2.VirtualMachine) (*v1alpha2.VirtualMachineClass, error) {
	if vm.Spec.VirtualMachineClassName != "" {
		return find(ctx, d.reader, client.ObjectKey{Name: vm.Spec.VirtualMachineClassName}, &v1alpha2.VirtualMachineClass{})
	}
	var all v1alpha2.VirtualMachineClassList
	if err := d.reader.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("list classes: %w", err)
	}
	return defaultClass(all.Items), nil
}

// defaultClass is the class that is marked as default; the oldest, should there
// be several all the same.
func defaultClass(all []v1alpha2.VirtualMachineClass) *v1alpha2.VirtualMachineClass {
	marked := slices.DeleteFunc(slices.Clone(all), func(c v1alpha2.VirtualMachineClass) bool { return !isDefault(&c) || !c.DeletionTimestamp.IsZero() })
	if len(marked) == 0 {
		return nil
	}
	oldest := slices.MinFunc(marked, func(a, b v1alpha2.VirtualMachineClass) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return &oldest
}

func isDefault(class *v1alpha2.VirtualMachineClass) bool {
	return class.Annotations[annotations.DefaultClass] == "true"
}

// defaults are the operations that fill what the spec leaves open.
func defaults(spec *v1alpha2.VirtualMachineSpec, class *v1alpha2.VirtualMachineClass) []jsonpatch.Operation {
	var patch []jsonpatch.Operation
	if class != nil && spec.VirtualMachineClassName == "" {
		patch = append(patch, jsonpatch.NewOperation("add", "/spec/virtualMachineClassName", class.Name))
	}
	if class != nil && spec.CPU.CoreFraction == "" {
		if fraction := sizing.DefaultFraction(class.Spec.SizingPolicies, spec.CPU.Cores); fraction != "" {
			patch = append(patch, jsonpatch.NewOperation("add", "/spec/cpu/coreFraction", fraction))
		}
	}
	return append(patch, networkIDs(spec.Networks)...)
}

// networkIDs numbers the networks that have no id: 1 for the main one, the
// lowest free ones from 2 on for the others.
func networkIDs(networks []v1alpha2.NetworkSpec) []jsonpatch.Operation {
	taken := map[int]bool{mainNetworkID: true}
	for _, n := range networks {
		if n.ID != nil {
			taken[*n.ID] = true
		}
	}
	var patch []jsonpatch.Operation
	for i, n := range networks {
		if n.ID != nil {
			continue
		}
		id := mainNetworkID
		if n.Type != v1alpha2.NetworkMain {
			for id = firstNetworkID; taken[id]; id++ {
			}
			taken[id] = true
		}
		patch = append(patch, jsonpatch.NewOperation("add", fmt.Sprintf("/spec/networks/%d/id", i), id))
	}
	return patch
}

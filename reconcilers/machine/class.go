package machine

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/class/sizing"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

func (e *engineer) resolveClass(ctx context.Context, s *scope) flow.Outcome {
	name := s.vm.Spec.VirtualMachineClassName
	class, err := find(ctx, e.client, client.ObjectKey{Name: name}, &v1alpha2.VirtualMachineClass{})
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	s.class = class
	s.classReady = judgeClass(name, class)
	return flow.Done()
}

func judgeClass(name string, class *v1alpha2.VirtualMachineClass) readiness {
	no := func(format string, args ...any) readiness {
		return notReady(vmcondition.VirtualMachineClassNotReady, fmt.Sprintf(format, args...))
	}
	switch {
	case class == nil:
		return no("class %q does not exist: create it or name another in spec.virtualMachineClassName", name)
	case !class.DeletionTimestamp.IsZero():
		return no("class %q is being deleted: name another in spec.virtualMachineClassName", name)
	case class.Status.Phase != v1alpha2.ClassReady:
		return no("class %q is not ready: see its conditions", name)
	default:
		return ready(vmcondition.VirtualMachineClassReady, "")
	}
}

// checkSize asks the class's sizing policies.
func (e *engineer) checkSize(_ context.Context, s *scope) flow.Outcome {
	s.sizeFits = judgeSize(s.vm, s.class)
	return flow.Done()
}

func judgeSize(vm *v1alpha2.VirtualMachine, class *v1alpha2.VirtualMachineClass) readiness {
	name := vm.Spec.VirtualMachineClassName
	switch {
	case class == nil:
		return notReady(vmcondition.VirtualMachineClassNotFound, fmt.Sprintf("class %q does not exist", name))
	case !class.DeletionTimestamp.IsZero():
		return notReady(vmcondition.VirtualMachineClassTerminating, fmt.Sprintf("class %q is being deleted", name))
	}
	if err := sizing.Match(class.Spec.SizingPolicies, &vm.Spec); err != nil {
		return notReady(vmcondition.SizingPolicyNotMatched, fmt.Sprintf("class %q: %s", name, err))
	}
	return ready("", "")
}

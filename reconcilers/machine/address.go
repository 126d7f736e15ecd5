package machine

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/labels"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// resolveAddress finds the address that the machine names, or makes one for a
// machine that names none.
func (e *engineer) resolveAddress(ctx context.Context, s *scope) flow.Outcome {
	name := address.NameFor(s.vm)
	found, err := find(ctx, e.client, client.ObjectKey{Namespace: s.vm.Namespace, Name: name}, &v1alpha2.VirtualMachineIPAddress{})
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	if found == nil && name == address.OwnName(s.vm) {
		if err := e.createAddress(ctx, s.vm, name); err != nil {
			return flow.Fail(reasonWriting, err)
		}
	}
	s.address = found
	s.addressReady = judgeAddress(s.vm, name, found)
	return e.dropOwnAddress(ctx, s)
}

func (e *engineer) createAddress(ctx context.Context, vm *v1alpha2.VirtualMachine, name string) error {
	made := &v1alpha2.VirtualMachineIPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       vm.Namespace,
			Name:            name,
			Labels:          map[string]string{labels.VirtualMachineUID: string(vm.UID)},
			OwnerReferences: []metav1.OwnerReference{ownedBy(vm)},
		},
		Spec: v1alpha2.VirtualMachineIPAddressSpec{Type: v1alpha2.IPAddressAuto},
	}
	if err := e.client.Create(ctx, made); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create address %s: %w", name, err)
	}
	return nil
}

// dropOwnAddress deletes the address that was made for the machine, once the
// machine uses another.
func (e *engineer) dropOwnAddress(ctx context.Context, s *scope) flow.Outcome {
	named := s.vm.Spec.VirtualMachineIPAddressName
	own := address.OwnName(s.vm)
	if named == "" || named == own || s.vm.Status.VirtualMachineIPAddressName != named {
		return flow.Done()
	}
	left, err := find(ctx, e.client, client.ObjectKey{Namespace: s.vm.Namespace, Name: own}, &v1alpha2.VirtualMachineIPAddress{})
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	if left == nil || !left.DeletionTimestamp.IsZero() || !metav1.IsControlledBy(left, s.vm) {
		return flow.Done()
	}
	if err := e.client.Delete(ctx, left); client.IgnoreNotFound(err) != nil {
		return flow.Fail(reasonWriting, fmt.Errorf("delete address %s: %w", own, err))
	}
	return flow.Done()
}

func judgeAddress(vm *v1alpha2.VirtualMachine, name string, found *v1alpha2.VirtualMachineIPAddress) readiness {
	no := func(reason, format string, args ...any) readiness {
		return notReady(reason, fmt.Sprintf(format, args...))
	}
	switch {
	case found == nil && vm.Spec.VirtualMachineIPAddressName != "":
		return no(vmcondition.VirtualMachineIPAddressNotReady,
			"address %q does not exist: create it or name another in spec.virtualMachineIPAddressName", name)
	case found == nil:
		return no(vmcondition.VirtualMachineIPAddressNotReady, "address %q is being created", name)
	case !found.DeletionTimestamp.IsZero():
		return no(vmcondition.VirtualMachineIPAddressNotReady, "address %q is being deleted: name another", name)
	case found.Status.VirtualMachineName != "" && found.Status.VirtualMachineName != vm.Name:
		return no(vmcondition.VirtualMachineIPAddressNotAvailable,
			"address %q is used by machine %q: name another", name, found.Status.VirtualMachineName)
	case found.Status.Phase == v1alpha2.AddressPending || found.Status.Address == "":
		return no(vmcondition.VirtualMachineIPAddressNotReady, "address %q has no IP address yet: see its conditions", name)
	case found.Status.VirtualMachineName == "":
		return no(vmcondition.VirtualMachineIPAddressNotReady, "address %q is not given to the machine yet", name)
	default:
		return ready(vmcondition.VirtualMachineIPAddressReady, "")
	}
}

// ownedBy makes an object go with the machine.
func ownedBy(vm *v1alpha2.VirtualMachine) metav1.OwnerReference {
	return *metav1.NewControllerRef(vm, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualMachineKind))
}

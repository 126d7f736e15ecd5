package address

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// findMachine decides which machine uses the address: the one that has it keeps
// it, else the oldest that wants it.
func (b binder) findMachine(ctx context.Context, s *scope) flow.Outcome {
	var machines v1alpha2.VirtualMachineList
	err := b.client.List(ctx, &machines, client.InNamespace(s.address.Namespace), client.MatchingFields{machineIndex: s.address.Name})
	if err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("list machines of address %s: %w", s.address.Name, err))
	}
	s.machine = user(machines.Items, s.address.Status.VirtualMachineName)
	return flow.Done()
}

func user(machines []v1alpha2.VirtualMachine, before string) string {
	if len(machines) == 0 {
		return ""
	}
	if slices.ContainsFunc(machines, func(vm v1alpha2.VirtualMachine) bool { return vm.Name == before }) {
		return before
	}
	return slices.MinFunc(machines, func(a, b v1alpha2.VirtualMachine) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	}).Name
}

// protect keeps the address from going while a machine uses it. Writing metadata
// outdates the object, so the run ends there and starts over.
func (b binder) protect(ctx context.Context, s *scope) flow.Outcome {
	const finalizer = finalizers.VirtualMachineIPAddressProtection
	if controllerutil.ContainsFinalizer(s.address, finalizer) == (s.machine != "") {
		return flow.Done()
	}
	if s.machine != "" && !s.address.DeletionTimestamp.IsZero() {
		return flow.Done()
	}
	changed := s.address.DeepCopy()
	if s.machine != "" {
		controllerutil.AddFinalizer(changed, finalizer)
	} else {
		controllerutil.RemoveFinalizer(changed, finalizer)
	}
	err := b.client.Patch(ctx, changed, client.MergeFromWithOptions(s.address.DeepCopy(), client.MergeFromWithOptimisticLock{}))
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return flow.Fail(reasonWriting, fmt.Errorf("patch finalizers of address %s: %w", s.address.Name, err))
	}
	return flow.Wait(reasonProtecting, again, "the finalizers were written; the next run goes on from there")
}

// release holds a deleted address until no machine uses it. Its lease is
// released by the lease's own controller.
func release(_ context.Context, s *scope) flow.Outcome {
	if s.machine != "" {
		return flow.Wait("InUse", 0, "machine %s uses the address: give it another or delete it", s.machine)
	}
	return flow.Done()
}

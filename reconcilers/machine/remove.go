package machine

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const reasonShuttingDown = "ShuttingDown"

// remove deletes the KubeVirt machine and waits until its guest is off, so that
// nothing writes to the disks when the machine is gone.
func (e *engineer) remove(ctx context.Context, s *scope) flow.Outcome {
	if s.engine == nil && s.instance == nil {
		return flow.Done()
	}
	if s.engine == nil {
		return flow.Wait(reasonShuttingDown, 0, "the guest is shutting down")
	}
	if s.engine.DeletionTimestamp.IsZero() {
		if err := e.client.Delete(ctx, s.engine); client.IgnoreNotFound(err) != nil {
			return flow.Fail(reasonWriting, fmt.Errorf("delete KubeVirt machine %s: %w", s.engine.Name, err))
		}
		return flow.Wait(reasonShuttingDown, again, "the guest is shutting down")
	}
	return e.unprotect(ctx, s.engine)
}

// unprotect takes our own finalizer off a KubeVirt machine that is being
// deleted, and waits until it is gone.
func (e *engineer) unprotect(ctx context.Context, engine *kubevirtv1.VirtualMachine) flow.Outcome {
	gone := flow.Wait(reasonShuttingDown, 0, "the guest is shutting down")
	if !controllerutil.ContainsFinalizer(engine, finalizers.KubeVirtVirtualMachineProtection) {
		return gone
	}
	before := engine.DeepCopy()
	controllerutil.RemoveFinalizer(engine, finalizers.KubeVirtVirtualMachineProtection)
	err := e.client.Patch(ctx, engine, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), fieldManager)
	if apierrors.IsConflict(err) {
		return flow.Wait(reasonWriting, again, "the KubeVirt machine was changed meanwhile")
	}
	if client.IgnoreNotFound(err) != nil {
		return flow.Fail(reasonWriting, fmt.Errorf("patch finalizers of KubeVirt machine %s: %w", engine.Name, err))
	}
	return gone
}

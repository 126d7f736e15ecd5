package disk

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// awaitMachines lets the deletion of a disk on once no machine has it.
func (e *engine) awaitMachines(_ context.Context, s *scope) flow.Outcome {
	if s.machines.image != "" {
		return flow.Wait(vdcondition.UsedForImageCreation, 0, "%s is being made from the disk", s.machines.image)
	}
	if s.machines.export && !s.machines.active {
		return flow.Wait(vdcondition.UsedForDataExport, 0, "the disk's volume is being exported; claim %s has the annotation %s until that is done", volumeName(s.disk), annotations.DataExportRequest)
	}
	if s.held() {
		return flow.Wait(vdcondition.AttachedToVirtualMachine, 0, "machine %s uses the disk; stop it or take the disk off it", s.machines.holder)
	}
	return flow.Done()
}

// dropContent ends the import and takes its artifact out of DVCR.
func (e *engine) dropContent(ctx context.Context, s *scope) flow.Outcome {
	e.desk.Forget(string(s.disk.UID))
	if s.disk.Spec.DataSource == nil {
		return flow.Done()
	}
	if err := e.shelf.Remove(ctx, artifactName(s.disk)); err != nil {
		return flow.Fail("CleanupFailed", err)
	}
	return flow.Done()
}

// dropVolumes deletes the DataVolume, then the claim: in the other order the
// DataVolume would make the claim anew.
func (e *engine) dropVolumes(ctx context.Context, s *scope) flow.Outcome {
	if s.volume != nil {
		if err := e.remove(ctx, s.volume); err != nil {
			return flow.Fail("CleanupFailed", err)
		}
		return flow.Wait(CleanupPending, retryAfterDelete, "DataVolume %s is being deleted", s.volume.Name)
	}
	if s.claim == nil {
		return flow.Done()
	}
	freed := s.claim.DeepCopy()
	controllerutil.RemoveFinalizer(freed, finalizers.PersistentVolumeClaimProtection)
	if err := e.update(ctx, s, freed); client.IgnoreNotFound(err) != nil {
		return flow.Fail("CleanupFailed", err)
	}
	if err := e.remove(ctx, s.claim); err != nil {
		return flow.Fail("CleanupFailed", err)
	}
	return flow.Done()
}

func (e *engine) remove(ctx context.Context, obj client.Object) error {
	if !obj.GetDeletionTimestamp().IsZero() {
		return nil
	}
	if err := e.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %T %s: %w", obj, obj.GetName(), err)
	}
	return nil
}

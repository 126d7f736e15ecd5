package snapshot

import (
	"context"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// observe sets volume and foreign.
func (e *engine) observe(ctx context.Context, s *scope) flow.Outcome {
	volume := &snapshotv1.VolumeSnapshot{}
	found, err := e.find(ctx, s.snapshot.Name, s, volume)
	if err != nil {
		return flow.Fail("VolumeSnapshotUnknown", err)
	}
	s.foreign = found && !metav1.IsControlledBy(volume, s.snapshot)
	if found && !s.foreign {
		s.volume = volume
	}
	switch {
	case s.deleting():
		return flow.Done()
	case s.foreign:
		return flow.Stall(vdscondition.VirtualDiskSnapshotFailed, "a VolumeSnapshot named %s is somebody else's; delete it, or give this snapshot another name", s.snapshot.Name)
	case s.lost():
		return flow.Stall(vdscondition.Lost, "VolumeSnapshot %s, which held the content, is gone; delete the snapshot", s.snapshot.Name)
	}
	return flow.Done()
}

// find reads an object in the snapshot's namespace.
func (e *engine) find(ctx context.Context, name string, s *scope, obj client.Object) (bool, error) {
	err := e.client.Get(ctx, client.ObjectKey{Namespace: s.snapshot.Namespace, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get %T %s: %w", obj, name, err)
	}
	return true, nil
}

// findDisk sets disk and claim. A snapshot that was taken needs neither.
func (e *engine) findDisk(ctx context.Context, s *scope) flow.Outcome {
	if outcome := e.findDiskIfThere(ctx, s); !outcome.IsDone() || s.volume != nil {
		return outcome
	}
	if s.diskProblem = diskProblem(s.snapshot.Spec.VirtualDiskName, s.disk, s.claim); s.diskProblem != "" {
		return flow.Wait(vdscondition.WaitingForTheVirtualDisk, 0, "%s", s.diskProblem)
	}
	return flow.Done()
}

// findDiskIfThere is findDisk for whom a disk that is gone is no matter.
func (e *engine) findDiskIfThere(ctx context.Context, s *scope) flow.Outcome {
	disk, claim := &v1alpha2.VirtualDisk{}, &corev1.PersistentVolumeClaim{}
	found, err := e.find(ctx, s.snapshot.Spec.VirtualDiskName, s, disk)
	if err != nil {
		return flow.Fail("DiskUnknown", err)
	}
	if found {
		s.disk = disk
	}
	name := claimName(s)
	if name == "" {
		return flow.Done()
	}
	found, err = e.find(ctx, name, s, claim)
	if err != nil {
		return flow.Fail("ClaimUnknown", err)
	}
	if found {
		s.claim = claim
	}
	return flow.Done()
}

// claimName is the claim that a snapshot is or will be taken of, empty when that
// is not known.
func claimName(s *scope) string {
	switch {
	case s.volume != nil:
		return ptr.Deref(s.volume.Spec.Source.PersistentVolumeClaimName, "")
	case s.disk != nil:
		return s.disk.Status.Target.PersistentVolumeClaimName
	}
	return ""
}

// diskProblem says why no snapshot of a disk can be taken, or nothing.
func diskProblem(name string, disk *v1alpha2.VirtualDisk, claim *corev1.PersistentVolumeClaim) string {
	switch {
	case disk == nil:
		return fmt.Sprintf("VirtualDisk %s is not there; create it, or correct spec.virtualDiskName", name)
	case !disk.DeletionTimestamp.IsZero():
		return fmt.Sprintf("VirtualDisk %s is being deleted", name)
	case disk.Status.Phase == v1alpha2.DiskResizing:
		return fmt.Sprintf("VirtualDisk %s is growing; the snapshot is taken when that is over", name)
	case disk.Status.Phase != v1alpha2.DiskReady:
		return fmt.Sprintf("VirtualDisk %s is not ready, its phase is %q", name, disk.Status.Phase)
	case claim == nil || claim.Status.Phase != corev1.ClaimBound || !claim.DeletionTimestamp.IsZero():
		return fmt.Sprintf("VirtualDisk %s has no volume that can be read", name)
	}
	return ""
}

// findGuest sets guest and lease.
func (e *engine) findGuest(ctx context.Context, s *scope) flow.Outcome {
	if s.claim == nil {
		return flow.Done()
	}
	var instances virtv1.VirtualMachineInstanceList
	if err := e.client.List(ctx, &instances, client.InNamespace(s.snapshot.Namespace)); err != nil {
		return flow.Fail("GuestUnknown", fmt.Errorf("list machine instances: %w", err))
	}
	i := slices.IndexFunc(instances.Items, func(vmi virtv1.VirtualMachineInstance) bool {
		return !vmi.IsFinal() && uses(&vmi, s.claim.Name)
	})
	if i < 0 {
		return flow.Done()
	}
	s.guest = instances.Items[i].DeepCopy()
	s.lease = readLease(s.guest)
	return flow.Done()
}

// uses tells whether an instance has a claim as a disk that it can write.
func uses(vmi *virtv1.VirtualMachineInstance, claim string) bool {
	return slices.ContainsFunc(vmi.Spec.Volumes, func(v virtv1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim ||
			v.DataVolume != nil && v.DataVolume.Name == claim
	})
}

package disk

import (
	"context"
	"fmt"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// snapshots are the names of a disk's snapshots that need it: one that is being
// taken and one that waits to be, empty when there is none.
type snapshots struct {
	taking, waiting string
}

// findSnapshots sets snapshots.
func (e *engine) findSnapshots(ctx context.Context, s *scope) flow.Outcome {
	var list v1alpha2.VirtualDiskSnapshotList
	if err := e.client.List(ctx, &list, client.InNamespace(s.disk.Namespace), client.MatchingFields{snapshotIndex: s.disk.Name}); err != nil {
		return flow.Fail("SnapshotsUnknown", fmt.Errorf("list snapshots of disk %s: %w", s.disk.Name, err))
	}
	for i := range list.Items {
		switch snapshot := &list.Items[i]; snapshot.Status.Phase {
		case v1alpha2.SnapshotInProgress:
			s.snapshots.taking = snapshot.Name
		case v1alpha2.SnapshotPending, "":
			s.snapshots.waiting = snapshot.Name
		}
	}
	return flow.Done()
}

// awaitSnapshots lets the deletion of a disk on once no snapshot reads it.
func (e *engine) awaitSnapshots(_ context.Context, s *scope) flow.Outcome {
	if s.snapshots.taking != "" {
		return flow.Wait(vdcondition.Snapshotting, 0, "snapshot %s of the disk is being taken", s.snapshots.taking)
	}
	return flow.Done()
}

// volumeSnapshot is what a disk needs to know of the VolumeSnapshot that it is
// made from.
type volumeSnapshot struct {
	name        string
	driver      string
	className   string
	volumeMode  *corev1.PersistentVolumeMode
	accessModes []corev1.PersistentVolumeAccessMode
}

// class is the storage class of the volume that the snapshot is of.
func (v *volumeSnapshot) class() string {
	if v == nil {
		return ""
	}
	return v.className
}

// mismatch says why a storage class cannot restore the snapshot, or nothing.
func (v *volumeSnapshot) mismatch(class *storagev1.StorageClass) string {
	if v == nil || v.driver == class.Provisioner {
		return ""
	}
	return fmt.Sprintf("storage class %s is of provisioner %s, and the snapshot is kept by %s; name a class of that provisioner in spec.persistentVolumeClaim.storageClassName",
		class.Name, class.Provisioner, v.driver)
}

// resolveSnapshot reads the snapshot that the disk is made from.
func (e *engine) resolveSnapshot(ctx context.Context, s *scope, name string) flow.Outcome {
	var snapshot v1alpha2.VirtualDiskSnapshot
	found, err := e.find(ctx, types.NamespacedName{Namespace: s.disk.Namespace, Name: name}, &snapshot)
	switch {
	case err != nil:
		return flow.Fail("SnapshotUnknown", err)
	case !found:
		s.source = source{missing: true, readiness: snapshotNotReady("VirtualDiskSnapshot %s is not there; create it, or correct the data source", name)}
		return flow.Done()
	case !s.restorable(&snapshot):
		s.source = source{readiness: snapshotNotReady("VirtualDiskSnapshot %s is not ready, its phase is %q", name, snapshot.Status.Phase)}
		return flow.Done()
	}
	return e.readVolumeSnapshot(ctx, s, &snapshot)
}

// restorable tells whether the disk can be made from a snapshot. One that is being
// deleted is for the disk only that was being made from it before.
func (s *scope) restorable(snapshot *v1alpha2.VirtualDiskSnapshot) bool {
	before := snapshot.UID == s.filledBefore()
	if before && snapshot.Status.Phase == v1alpha2.SnapshotTerminating {
		return true
	}
	return snapshot.Status.Phase == v1alpha2.SnapshotReady && (before || snapshot.DeletionTimestamp.IsZero())
}

func snapshotNotReady(format string, args ...any) readiness {
	return readiness{known: true, reason: vdcondition.VirtualDiskSnapshot, message: fmt.Sprintf(format, args...)}
}

func (e *engine) readVolumeSnapshot(ctx context.Context, s *scope, snapshot *v1alpha2.VirtualDiskSnapshot) flow.Outcome {
	var volume snapshotv1.VolumeSnapshot
	found, err := e.find(ctx, types.NamespacedName{Namespace: snapshot.Namespace, Name: snapshot.Status.VolumeSnapshotName}, &volume)
	if err != nil {
		return flow.Fail("SnapshotUnknown", err)
	}
	status := ptr.Deref(volume.Status, snapshotv1.VolumeSnapshotStatus{})
	var content snapshotv1.VolumeSnapshotContent
	if found && status.RestoreSize != nil && status.BoundVolumeSnapshotContentName != nil {
		if found, err = e.find(ctx, types.NamespacedName{Name: *status.BoundVolumeSnapshotContentName}, &content); err != nil {
			return flow.Fail("SnapshotUnknown", err)
		}
	}
	if !found || content.Spec.Driver == "" {
		s.source = source{readiness: snapshotNotReady("VirtualDiskSnapshot %s does not tell yet where it is and how large", snapshot.Name)}
		return flow.Done()
	}
	s.source = source{
		readiness: sourceReady(), uid: snapshot.UID, unpacked: status.RestoreSize.Value(),
		snapshot: describe(&volume, content.Spec.Driver),
	}
	return flow.Done()
}

// describe reads what the snapshot controller has noted of the volume.
func describe(volume *snapshotv1.VolumeSnapshot, driver string) *volumeSnapshot {
	v := &volumeSnapshot{name: volume.Name, driver: driver, className: volume.Annotations[annotations.StorageClassName]}
	if mode := volume.Annotations[annotations.VolumeMode]; mode != "" {
		v.volumeMode = ptr.To(corev1.PersistentVolumeMode(mode))
	}
	for mode := range strings.SplitSeq(volume.Annotations[annotations.AccessModes], ",") {
		if mode != "" {
			v.accessModes = append(v.accessModes, corev1.PersistentVolumeAccessMode(mode))
		}
	}
	if len(v.accessModes) == 0 {
		v.accessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	return v
}

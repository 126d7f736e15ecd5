package snapshot

import (
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdscondition"
)

// scope is what one run knows of a snapshot.
type scope struct {
	snapshot *v1alpha2.VirtualDiskSnapshot
	// old is the status before this run.
	old v1alpha2.VirtualDiskSnapshotStatus
	now time.Time

	// volume is set by "observe" and "take"; nil when it is not there. foreign
	// tells that there is one of the name that is somebody else's.
	volume  *snapshotv1.VolumeSnapshot
	foreign bool
	// users are set by "users": the disks and images that are being made from the
	// snapshot, as a message names them.
	users []string
	// disk and claim are set by "disk".
	disk  *v1alpha2.VirtualDisk
	claim *corev1.PersistentVolumeClaim
	// diskProblem is set by "disk": why no snapshot of the disk can be taken.
	diskProblem string
	// guest is set by "guest": the unfinished instance that uses the disk, nil for
	// a disk at rest; lease is who has its file systems frozen.
	guest *virtv1.VirtualMachineInstance
	lease *lease
	// consistent is set by "cut".
	consistent *bool
}

// required tells whether only a consistent snapshot will do.
func (s *scope) required() bool { return ptr.Deref(s.snapshot.Spec.RequiredConsistency, true) }

// wasReady tells that the snapshot could be used before this run.
func (s *scope) wasReady() bool {
	ready := meta.FindStatusCondition(s.old.Conditions, vdscondition.VirtualDiskSnapshotReadyType)
	return ready != nil && (ready.Status == metav1.ConditionTrue || ready.Reason == vdscondition.Lost)
}

// lost tells that a snapshot that was ready has no content any more.
func (s *scope) lost() bool {
	return s.wasReady() && (s.volume == nil || !s.volume.DeletionTimestamp.IsZero())
}

// judged tells that the content was fixed before, and how consistent it is.
func (s *scope) judged() bool { return s.old.Consistent != nil && s.cut() != nil }

// cut is when the content was fixed, nil before.
func (s *scope) cut() *metav1.Time {
	if s.volume == nil || s.volume.Status == nil {
		return nil
	}
	return s.volume.Status.CreationTime
}

// usable tells whether the VolumeSnapshot can be restored.
func (s *scope) usable() bool {
	return s.volume != nil && s.volume.Status != nil && ptr.Deref(s.volume.Status.ReadyToUse, false)
}

// problem is what the storage says of the VolumeSnapshot, empty when all is well.
func (s *scope) problem() string {
	if s.volume == nil || s.volume.Status == nil || s.volume.Status.Error == nil {
		return ""
	}
	return ptr.Deref(s.volume.Status.Error.Message, "the storage does not say why")
}

func (s *scope) deleting() bool { return !s.snapshot.DeletionTimestamp.IsZero() }

package image

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// An image is made from a snapshot by way of a claim that the storage fills from it, and that goes when the image is in DVCR.

// tidyAfter is how soon after an import that claim goes: when the image is known to be ready.
const tidyAfter = time.Second

// restoredFrom is the annotation of that claim with the UID of its snapshot: another of the same name is not the same.
const restoredFrom = "image.slipway.dev/restored-from"

// fromSnapshot tells whether the image is made from a snapshot.
func (s *scope) fromSnapshot() bool { return s.origin.Kind == v1alpha2.ObjectRefVirtualDiskSnapshot }

// restoredClaim is the claim that a snapshot is restored to.
func (s *scope) restoredClaim() types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(s.object.GetNamespace(), s.origin.Key.Namespace), Name: derived("d8v-vi-snapshot-", s.object)}
}

func observeSnapshot(o *v1alpha2.VirtualDiskSnapshot, before types.UID) observed {
	if !usable(o, o.Status.Phase, before, v1alpha2.SnapshotTerminating) {
		return observed{readiness: notReady(vicondition.VirtualDiskSnapshotNotReady, "VirtualDiskSnapshot %s/%s is not ready, its phase is %s", o.Namespace, o.Name, phaseOf(o.Status.Phase))}
	}
	return observed{readiness: sourceReady(), uid: o.UID}
}

// restoreSnapshot sets content: it has the storage restore the snapshot to a claim, and waits until that can be read.
func (e *engine) restoreSnapshot(ctx context.Context, s *scope, snapshot *v1alpha2.VirtualDiskSnapshot) flow.Outcome {
	key := s.restoredClaim()
	claim := &corev1.PersistentVolumeClaim{}
	err := e.client.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) {
		return e.makeClaim(ctx, s, snapshot)
	}
	if err != nil {
		return flow.Fail("VolumeUnknown", fmt.Errorf("get claim %s: %w", key, err))
	}
	if !claim.DeletionTimestamp.IsZero() || claim.Annotations[restoredFrom] != string(snapshot.UID) {
		if err := e.dropRestored(ctx, s); err != nil {
			return flow.Fail("CleanupFailed", err)
		}
		return flow.Wait(vicondition.ProvisioningNotStarted, tidyAfter, "claim %s of an earlier snapshot must go first", key)
	}
	readable, err := e.readable(ctx, claim)
	if err != nil {
		return flow.Fail("StorageClassesUnknown", err)
	}
	if !readable {
		return restoring(s)
	}
	s.content = importer.Source{Volume: &importer.VolumeSource{Namespace: key.Namespace, Claim: key.Name}}
	return flow.Done()
}

// readRestored goes on with the claim that a snapshot was restored to which is of no use any more: an import that failed is
// tried again without it.
func (e *engine) readRestored(ctx context.Context, s *scope) flow.Outcome {
	key := s.restoredClaim()
	claim := &corev1.PersistentVolumeClaim{}
	if err := e.client.Get(ctx, key, claim); client.IgnoreNotFound(err) != nil {
		return flow.Fail("VolumeUnknown", fmt.Errorf("get claim %s: %w", key, err))
	}
	uid := ptr.Deref(s.old.SourceUID, "")
	if !restoredFor(claim, s.origin.Key.Name, uid) {
		return flow.Wait(s.source.reason, 0, "%s", s.source.message)
	}
	s.source, s.sourceUID = sourceReady(), types.UID(uid)
	s.content = importer.Source{Volume: &importer.VolumeSource{Namespace: key.Namespace, Claim: key.Name}}
	return flow.Done()
}

// restoredFor tells whether a claim holds all of a snapshot.
func restoredFor(claim *corev1.PersistentVolumeClaim, snapshot, uid string) bool {
	ref := claim.Spec.DataSourceRef
	return claim.Status.Phase == corev1.ClaimBound && claim.DeletionTimestamp.IsZero() &&
		uid != "" && claim.Annotations[restoredFrom] == uid && ref != nil && ref.Name == snapshot
}

// readable tells whether a claim is bound, or will be for the pod that reads it.
func (e *engine) readable(ctx context.Context, claim *corev1.PersistentVolumeClaim) (bool, error) {
	if claim.Status.Phase == corev1.ClaimBound || claim.Spec.StorageClassName == nil || !e.inPods {
		return claim.Status.Phase == corev1.ClaimBound, nil
	}
	var class storagev1.StorageClass
	if err := e.client.Get(ctx, types.NamespacedName{Name: *claim.Spec.StorageClassName}, &class); err != nil {
		return false, fmt.Errorf("get storage class %s: %w", *claim.Spec.StorageClassName, err)
	}
	return ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) == storagev1.VolumeBindingWaitForFirstConsumer, nil
}

func (e *engine) makeClaim(ctx context.Context, s *scope, snapshot *v1alpha2.VirtualDiskSnapshot) flow.Outcome {
	key := types.NamespacedName{Namespace: snapshot.Namespace, Name: snapshot.Status.VolumeSnapshotName}
	var volume snapshotv1.VolumeSnapshot
	if err := e.client.Get(ctx, key, &volume); client.IgnoreNotFound(err) != nil {
		return flow.Fail("SourceUnknown", fmt.Errorf("get VolumeSnapshot %s: %w", key, err))
	}
	if volume.Status == nil || volume.Status.RestoreSize == nil {
		s.source = notReady(vicondition.VirtualDiskSnapshotNotReady, "VirtualDiskSnapshot %s does not tell yet how large it is", s.origin.Key)
		return flow.Wait(s.source.reason, retryAfterQuota, "%s", s.source.message)
	}
	claim := buildRestored(s, &volume)
	err := e.client.Create(ctx, claim)
	switch {
	case apierrors.IsForbidden(err):
		s.source = notReady(vicondition.VirtualDiskSnapshotNotReady, "the snapshot cannot be restored to a claim: %s", err)
		return flow.Wait(s.source.reason, retryAfterQuota, "%s", s.source.message)
	case err != nil && !apierrors.IsAlreadyExists(err):
		return flow.Fail("VolumeNotCreated", fmt.Errorf("create claim %s: %w", claim.Name, err))
	}
	return restoring(s)
}

// restoring sets restoring: the image has begun, and the snapshot is kept for it.
func restoring(s *scope) flow.Outcome {
	s.restoring = fmt.Sprintf("snapshot %s is being restored to claim %s", s.origin.Key, s.restoredClaim().Name)
	return flow.Wait(vicondition.Provisioning, retryAfterQuota, "%s", s.restoring)
}

// buildRestored makes the claim that the storage fills from a snapshot, like the one that the snapshot is of.
func buildRestored(s *scope, volume *snapshotv1.VolumeSnapshot) *corev1.PersistentVolumeClaim {
	key := s.restoredClaim()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name,
		Annotations:     map[string]string{bindAtOnce: "true", restoredFrom: string(s.sourceUID)},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.object, v1alpha2.SchemeGroupVersion.WithKind(s.traits.kind))},
	}}
	claim.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: *volume.Status.RestoreSize},
		},
		DataSourceRef: &corev1.TypedObjectReference{APIGroup: ptr.To(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: volume.Name},
	}
	if class := volume.Annotations[annotations.StorageClassName]; class != "" {
		claim.Spec.StorageClassName = &class
	}
	if mode := volume.Annotations[annotations.VolumeMode]; mode != "" {
		claim.Spec.VolumeMode = ptr.To(corev1.PersistentVolumeMode(mode))
	}
	if modes := volume.Annotations[annotations.AccessModes]; modes != "" {
		claim.Spec.AccessModes = nil
		for mode := range strings.SplitSeq(modes, ",") {
			claim.Spec.AccessModes = append(claim.Spec.AccessModes, corev1.PersistentVolumeAccessMode(mode))
		}
	}
	return claim
}

// tidy removes the claim once the image is known to be ready: while it is not, another run would only make it again.
func (e *engine) tidy(ctx context.Context, s *scope) flow.Outcome {
	switch {
	case !s.fromSnapshot():
		return flow.Done()
	case !s.imported():
		return flow.Wait("CleanupPending", tidyAfter, "claim %s goes when the image is ready", s.restoredClaim())
	}
	if err := e.dropRestored(ctx, s); err != nil {
		return flow.Fail("CleanupFailed", err)
	}
	return flow.Done()
}

// dropRestored deletes the claim that a snapshot was restored to, if it is there, also when the spec names another source now.
func (e *engine) dropRestored(ctx context.Context, s *scope) error {
	key := s.restoredClaim()
	if key.Namespace == "" {
		return nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	err := e.client.Get(ctx, key, claim)
	if err == nil && claim.DeletionTimestamp.IsZero() && metav1.IsControlledBy(claim, s.object) {
		err = e.client.Delete(ctx, claim)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete claim %s: %w", key, err)
	}
	return nil
}

package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// take creates the VolumeSnapshot.
func (e *engine) take(ctx context.Context, s *scope) flow.Outcome {
	if s.volume != nil {
		return flow.Done()
	}
	volume, err := build(s)
	if err != nil {
		return flow.Fail(vdscondition.VirtualDiskSnapshotFailed, err)
	}
	err = e.client.Create(ctx, volume)
	switch {
	case apierrors.IsAlreadyExists(err): // the cache is behind
		return flow.Wait(vdscondition.Snapshotting, retryAfterConflict, "VolumeSnapshot %s was created", volume.Name)
	case err != nil:
		if outcome := e.thaw(ctx, s); !outcome.IsDone() {
			return outcome
		}
		return flow.Fail(vdscondition.VirtualDiskSnapshotFailed, fmt.Errorf("create VolumeSnapshot %s: %w", volume.Name, err))
	}
	s.volume = volume
	return flow.Done()
}

// build makes the VolumeSnapshot, with what a disk made from it gets back.
func build(s *scope) (*snapshotv1.VolumeSnapshot, error) {
	volume := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.snapshot.Namespace,
			Name:      s.snapshot.Name,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(s.snapshot, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualDiskSnapshotKind)),
			},
			Annotations: map[string]string{
				annotations.StorageClassName:             ptr.Deref(s.claim.Spec.StorageClassName, ""),
				annotations.VirtualDiskHadOwnerReference: strconv.FormatBool(len(s.disk.OwnerReferences) > 0),
			},
		},
		Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &s.claim.Name}},
	}
	if mode := s.claim.Spec.VolumeMode; mode != nil {
		volume.Annotations[annotations.VolumeMode] = string(*mode)
	}
	var modes []string
	for _, mode := range s.claim.Spec.AccessModes {
		modes = append(modes, string(mode))
	}
	volume.Annotations[annotations.AccessModes] = strings.Join(modes, ",")
	if s.leased() {
		volume.Annotations[frozenUntil] = s.lease.until().Format(time.RFC3339)
	}
	return volume, remember(volume, s.disk)
}

func remember(volume *snapshotv1.VolumeSnapshot, disk *v1alpha2.VirtualDisk) error {
	for key, values := range map[string]map[string]string{
		annotations.VirtualDiskOriginalLabels:      disk.Labels,
		annotations.VirtualDiskOriginalAnnotations: disk.Annotations,
	} {
		if len(values) == 0 {
			continue
		}
		text, err := json.Marshal(values)
		if err != nil {
			return fmt.Errorf("note the labels of disk %s: %w", disk.Name, err)
		}
		volume.Annotations[key] = string(text)
	}
	return nil
}

// awaitCut sets consistent: it waits until the content is fixed. What is not
// consistent and has to be, and what the storage cannot take, is dropped and
// taken anew.
func (e *engine) awaitCut(ctx context.Context, s *scope) flow.Outcome {
	cut := s.cut()
	switch {
	case s.judged():
		s.consistent = s.old.Consistent
		return flow.Done()
	case !s.volume.DeletionTimestamp.IsZero():
		return e.again(ctx, s, vdscondition.Snapshotting, "the earlier VolumeSnapshot "+s.volume.Name+" is being deleted")
	case cut == nil && s.problem() != "":
		return e.again(ctx, s, vdscondition.VirtualDiskSnapshotFailed, "VolumeSnapshot "+s.volume.Name+" could not be taken: "+s.problem())
	case cut == nil && s.leased() && !s.now.Before(s.lease.until()):
		return e.again(ctx, s, vdscondition.VirtualDiskSnapshotFailed, fmt.Sprintf("the storage took longer than %s, for which machine %s was frozen", freezeTimeout, s.guest.Name))
	case cut == nil:
		return flow.Wait(vdscondition.Snapshotting, e.untilThaw(s), "VolumeSnapshot %s is being taken", s.volume.Name)
	}
	s.consistent = ptr.To(isConsistent(s, cut.Time))
	if s.required() && !*s.consistent {
		s.consistent = nil
		return e.again(ctx, s, vdscondition.PotentiallyInconsistent, "the disk came into use, or the guest thawed, before its content was fixed")
	}
	return flow.Done()
}

// untilThaw is how long a frozen guest may be waited for; zero when none is.
func (e *engine) untilThaw(s *scope) time.Duration {
	if !s.leased() {
		return 0
	}
	return max(s.lease.until().Sub(s.now), time.Millisecond)
}

// isConsistent decides whether content that was fixed at a moment is consistent:
// the guest's file systems were frozen then, or no guest had the disk.
func isConsistent(s *scope, cut time.Time) bool {
	if until := s.volume.Annotations[frozenUntil]; until != "" {
		deadline, err := time.Parse(time.RFC3339, until)
		return err == nil && !cut.After(deadline)
	}
	return s.guest == nil || s.guest.CreationTimestamp.After(cut)
}

// again drops what was taken and thaws the guest, so that all begins anew after
// a while.
func (e *engine) again(ctx context.Context, s *scope, reason, message string) flow.Outcome {
	if outcome := e.drop(ctx, s); outcome.IsFailed() {
		return outcome
	}
	if outcome := e.thaw(ctx, s); !outcome.IsDone() {
		return outcome
	}
	return flow.Wait(reason, retryAfterRefusal, "%s; it is tried again", message)
}

// awaitCopy waits until the content can be restored.
func (e *engine) awaitCopy(_ context.Context, s *scope) flow.Outcome {
	switch {
	case s.usable():
		return flow.Done()
	case s.problem() != "":
		return flow.Wait(vdscondition.VirtualDiskSnapshotFailed, 0, "VolumeSnapshot %s: %s", s.volume.Name, s.problem())
	}
	return flow.Wait(vdscondition.Snapshotting, 0, "VolumeSnapshot %s is being copied", s.volume.Name)
}

// drop deletes the VolumeSnapshot, and with it the content.
func (e *engine) drop(ctx context.Context, s *scope) flow.Outcome {
	if s.volume == nil {
		return flow.Done()
	}
	if s.volume.DeletionTimestamp.IsZero() {
		err := e.client.Delete(ctx, s.volume, client.Preconditions{UID: &s.volume.UID})
		if client.IgnoreNotFound(err) != nil {
			return flow.Fail("CleanupFailed", fmt.Errorf("delete VolumeSnapshot %s: %w", s.volume.Name, err))
		}
	}
	return flow.Wait("CleanupPending", retryAfterConflict, "VolumeSnapshot %s is being deleted", s.volume.Name)
}

package snapshot

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// report tells the state: on the content first, since that is what the next step decides by.
func (r *Reconciler) report(ctx context.Context, vs *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent, s state) error {
	if content != nil {
		before := content.DeepCopy()
		content.Status = contentStatus(content.Status, string(vs.UID), s, r.Clock.Now().UnixNano())
		if err := r.patchStatus(ctx, content, before, equality.Semantic.DeepEqual(before.Status, content.Status)); err != nil {
			return err
		}
	}
	before := vs.DeepCopy()
	vs.Status = status(vs.Status, content, s, metav1.NewTime(r.Clock.Now()))
	same := equality.Semantic.DeepEqual(before.Status, vs.Status)
	if err := r.patchStatus(ctx, vs, before, same); err != nil {
		return err
	}
	if s.err != nil && !same {
		r.Recorder.Eventf(vs, nil, corev1.EventTypeWarning, "SnapshotCreationFailed", "Snapshot", "%s", s.err.Error())
	}
	return nil
}

func (r *Reconciler) patchStatus(ctx context.Context, obj, before client.Object, same bool) error {
	if same {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, obj, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("report %T %s: %w", obj, obj.GetName(), err)
	}
	return nil
}

// contentStatus is the status of a content. What was told once stays.
func contentStatus(old *snapshotv1.VolumeSnapshotContentStatus, id string, s state, now int64) *snapshotv1.VolumeSnapshotContentStatus {
	out := old.DeepCopy()
	if out == nil {
		out = &snapshotv1.VolumeSnapshotContentStatus{}
	}
	out.ReadyToUse = ptr.To(s.ready)
	if !s.cut.IsZero() {
		out.SnapshotHandle, out.RestoreSize = &id, ptr.To(s.size)
		if out.CreationTime == nil {
			out.CreationTime = ptr.To(s.cut.UnixNano())
		}
	}
	out.Error = problem(out.Error, s.err, metav1.Unix(0, now))
	return out
}

// status is the status of a snapshot.
func status(old *snapshotv1.VolumeSnapshotStatus, content *snapshotv1.VolumeSnapshotContent, s state, now metav1.Time) *snapshotv1.VolumeSnapshotStatus {
	out := old.DeepCopy()
	if out == nil {
		out = &snapshotv1.VolumeSnapshotStatus{}
	}
	out.ReadyToUse = ptr.To(s.ready)
	out.Error = problem(out.Error, s.err, now)
	if content == nil {
		return out
	}
	out.BoundVolumeSnapshotContentName = &content.Name
	if at := content.Status.CreationTime; at != nil {
		out.CreationTime = ptr.To(metav1.Unix(0, *at))
		out.RestoreSize = resource.NewQuantity(ptr.Deref(content.Status.RestoreSize, 0), resource.BinarySI)
	}
	return out
}

// problem keeps the time of an error that was told before.
func problem(old *snapshotv1.VolumeSnapshotError, err error, now metav1.Time) *snapshotv1.VolumeSnapshotError {
	if err == nil {
		return nil
	}
	if old != nil && ptr.Deref(old.Message, "") == err.Error() {
		return old
	}
	return &snapshotv1.VolumeSnapshotError{Time: &now, Message: ptr.To(err.Error())}
}

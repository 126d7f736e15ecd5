package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/claim"
	"slipway.dev/slipway/local/node/volume"
)

// errSource says that there is nothing to take a snapshot of.
var errSource = errors.New("no snapshot can be taken")

// bind makes the content of a snapshot, once, after both the snapshot and the claim that it is of are held.
func (r *Reconciler) bind(ctx context.Context, vs *snapshotv1.VolumeSnapshot, class *snapshotv1.VolumeSnapshotClass) (*snapshotv1.VolumeSnapshotContent, error) {
	content, err := r.content(ctx, vs)
	if content != nil || err != nil {
		return content, err
	}
	if vs.Status != nil && vs.Status.BoundVolumeSnapshotContentName != nil {
		return nil, fmt.Errorf("%w: VolumeSnapshotContent %s was deleted, and what the snapshot held with it", errSource, *vs.Status.BoundVolumeSnapshotContentName)
	}
	pvc, err := r.source(ctx, vs)
	if err != nil {
		return nil, err
	}
	if err := r.hold(ctx, vs, boundProtection); err != nil {
		return nil, err
	}
	if err := r.hold(ctx, pvc, claim.SourceProtection); err != nil {
		return nil, err
	}
	content = newContent(vs, class, pvc)
	if err := r.Client.Create(ctx, content); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create the content of VolumeSnapshot %s/%s: %w", vs.Namespace, vs.Name, err)
	}
	return r.content(ctx, vs)
}

// content reads the snapshot's content; nil when there is none.
func (r *Reconciler) content(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (*snapshotv1.VolumeSnapshotContent, error) {
	content := &snapshotv1.VolumeSnapshotContent{}
	err := r.Reader.Get(ctx, client.ObjectKey{Name: contentName(vs)}, content)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get the content of VolumeSnapshot %s/%s: %w", vs.Namespace, vs.Name, err)
	}
	return content, nil
}

// source finds the claim that a snapshot is of, with a volume on this node.
func (r *Reconciler) source(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (*corev1.PersistentVolumeClaim, error) {
	name := sourceOf(vs)
	if name == "" {
		return nil, fmt.Errorf("%w: this node takes snapshots of claims and imports none: set source.persistentVolumeClaimName", errSource)
	}
	pvc := &corev1.PersistentVolumeClaim{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: vs.Namespace, Name: name}, pvc)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: PersistentVolumeClaim %s is not there", errSource, name)
	case err != nil:
		return nil, fmt.Errorf("get claim %s/%s: %w", vs.Namespace, name, err)
	case !pvc.DeletionTimestamp.IsZero():
		return nil, fmt.Errorf("%w: PersistentVolumeClaim %s is being deleted", errSource, name)
	case pvc.Status.Phase != corev1.ClaimBound:
		return nil, fmt.Errorf("%w: PersistentVolumeClaim %s is not bound", errSource, name)
	case !slices.Contains(pvc.Finalizers, claim.Finalizer):
		return nil, fmt.Errorf("%w: PersistentVolumeClaim %s is not on this node's storage", errSource, name)
	}
	return pvc, nil
}

func newContent(vs *snapshotv1.VolumeSnapshot, class *snapshotv1.VolumeSnapshotClass, pvc *corev1.PersistentVolumeClaim) *snapshotv1.VolumeSnapshotContent {
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: contentName(vs), Finalizers: []string{contentProtection}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{
				APIVersion: snapshotv1.SchemeGroupVersion.String(), Kind: "VolumeSnapshot",
				Namespace: vs.Namespace, Name: vs.Name, UID: vs.UID,
			},
			DeletionPolicy: class.DeletionPolicy, Driver: class.Driver, VolumeSnapshotClassName: &class.Name,
			Source:           snapshotv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To(string(pvc.UID))},
			SourceVolumeMode: pvc.Spec.VolumeMode,
		},
	}
}

// hold puts a finalizer on an object, and letFree takes it off.
func (r *Reconciler) hold(ctx context.Context, obj client.Object, finalizer string) error {
	if slices.Contains(obj.GetFinalizers(), finalizer) {
		return nil
	}
	return r.setFinalizers(ctx, obj, append(slices.Clone(obj.GetFinalizers()), finalizer))
}

func (r *Reconciler) letFree(ctx context.Context, obj client.Object, finalizer string) error {
	if !slices.Contains(obj.GetFinalizers(), finalizer) {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return f == finalizer })
	return client.IgnoreNotFound(r.setFinalizers(ctx, obj, rest)) //nolint:wrapcheck // setFinalizers wraps
}

func (r *Reconciler) setFinalizers(ctx context.Context, obj client.Object, finalizers []string) error {
	before, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("hold %T %s: a copy of it is no object", obj, obj.GetName())
	}
	obj.SetFinalizers(finalizers)
	if err := r.Client.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("set finalizers of %T %s: %w", obj, obj.GetName(), err)
	}
	return nil
}

// letGo frees the claim that a snapshot is of, unless another snapshot of it is being taken.
func (r *Reconciler) letGo(ctx context.Context, vs *snapshotv1.VolumeSnapshot) error {
	pvc := &corev1.PersistentVolumeClaim{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: vs.Namespace, Name: sourceOf(vs)}, pvc)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get claim %s/%s: %w", vs.Namespace, sourceOf(vs), err)
	}
	var all snapshotv1.VolumeSnapshotList
	if err := r.Client.List(ctx, &all, client.InNamespace(vs.Namespace)); err != nil {
		return fmt.Errorf("list snapshots in %s: %w", vs.Namespace, err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID != vs.UID && sourceOf(other) == pvc.Name && r.underway(other) {
			return nil
		}
	}
	return r.letFree(ctx, pvc, claim.SourceProtection)
}

// underway tells whether a snapshot still needs its claim. One that was cut needs it while a guest writes the copy.
func (r *Reconciler) underway(vs *snapshotv1.VolumeSnapshot) bool {
	switch {
	case !slices.Contains(vs.Finalizers, boundProtection):
		return false
	case vs.Status == nil || vs.Status.CreationTime == nil:
		return true
	}
	_, err := r.Snapshots.GetPending(string(vs.UID))
	return !errors.Is(err, volume.ErrNotFound)
}

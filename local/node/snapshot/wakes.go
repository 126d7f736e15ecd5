package snapshot

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/local/node/claim"
)

func newSnapshot() client.Object { return &snapshotv1.VolumeSnapshot{} }

// snapshotOf is the snapshot that a content belongs to.
func snapshotOf(_ context.Context, obj client.Object) []reconcile.Request {
	content, ok := obj.(*snapshotv1.VolumeSnapshotContent)
	if !ok || content.Spec.Driver != claim.Provisioner {
		return nil
	}
	ref := content.Spec.VolumeSnapshotRef
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}}}
}

// snapshotsOf are the snapshots of a claim that are not taken yet, and the one that it is filled from.
func (r *Reconciler) snapshotsOf(ctx context.Context, obj client.Object) []reconcile.Request {
	pvc, ok := obj.(*corev1.PersistentVolumeClaim)
	if !ok {
		return nil
	}
	var all snapshotv1.VolumeSnapshotList
	if err := r.Client.List(ctx, &all, client.InNamespace(pvc.Namespace)); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range all.Items {
		vs := &all.Items[i]
		ready := vs.Status != nil && ptr.Deref(vs.Status.ReadyToUse, false)
		if sourceOf(vs) == pvc.Name && !ready || claim.SnapshotOf(pvc) == vs.Name {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(vs)})
		}
	}
	return out
}

// unbound are the snapshots that have no content yet: they may have waited for a class that has just come.
func (r *Reconciler) unbound(ctx context.Context, _ client.Object) []reconcile.Request {
	var all snapshotv1.VolumeSnapshotList
	if err := r.Client.List(ctx, &all); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range all.Items {
		if vs := &all.Items[i]; vs.Status == nil || vs.Status.BoundVolumeSnapshotContentName == nil {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(vs)})
		}
	}
	return out
}

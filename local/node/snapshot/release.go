package snapshot

import (
	"context"
	"errors"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/claim"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/volume"
)

// release ends what is underway, removes the content where its policy says so, and lets claim and snapshot go.
func (r *Reconciler) release(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (ctrl.Result, error) {
	needed, err := r.restoring(ctx, vs)
	if err != nil || needed { // the claim's next change wakes
		return ctrl.Result{}, err
	}
	content, err := r.content(ctx, vs)
	if err != nil {
		return ctrl.Result{}, err
	}
	if content == nil || content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete {
		if err := r.remove(ctx, vs, content); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.letGo(ctx, vs); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.letFree(ctx, vs, boundProtection)
}

// restoring tells whether a claim is being filled from the snapshot.
func (r *Reconciler) restoring(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (bool, error) {
	var claims corev1.PersistentVolumeClaimList
	if err := r.Client.List(ctx, &claims, client.InNamespace(vs.Namespace)); err != nil {
		return false, fmt.Errorf("list claims in %s: %w", vs.Namespace, err)
	}
	for i := range claims.Items {
		pvc := &claims.Items[i]
		if claim.SnapshotOf(pvc) == vs.Name && pvc.Status.Phase != corev1.ClaimBound && pvc.DeletionTimestamp.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

func (r *Reconciler) remove(ctx context.Context, vs *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent) error {
	id := string(vs.UID)
	r.jobs.Forget(job.Name(vs))
	pending, err := r.Snapshots.GetPending(id)
	if err == nil {
		_, err = r.Guests.CloseCopy(ctx, types.UID(pending.Guest), id)
	}
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	if err := errors.Join(r.Snapshots.Delete(id), r.Collect()); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	if err := r.letFree(ctx, content, contentProtection); err != nil {
		return err
	}
	if err := client.IgnoreNotFound(r.Client.Delete(ctx, content)); err != nil {
		return fmt.Errorf("delete VolumeSnapshotContent %s: %w", content.Name, err)
	}
	return nil
}

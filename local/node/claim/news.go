package claim

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/local/node/instance"
)

func newClaim() client.Object { return &corev1.PersistentVolumeClaim{} }

// claimsOf are the claims that an instance uses.
func claimsOf(_ context.Context, obj client.Object) []reconcile.Request {
	vmi, ok := obj.(*virtv1.VirtualMachineInstance)
	if !ok {
		return nil
	}
	var out []reconcile.Request
	for _, name := range instance.Claims(&vmi.Spec) {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: vmi.Namespace, Name: name}})
	}
	return out
}

// restored are the claims that are filled from a snapshot.
func (r *Reconciler) restored(ctx context.Context, snapshot client.Object) []reconcile.Request {
	var list corev1.PersistentVolumeClaimList
	if err := r.Client.List(ctx, &list, client.InNamespace(snapshot.GetNamespace())); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if pvc := &list.Items[i]; SnapshotOf(pvc) == snapshot.GetName() && pvc.Status.Phase != corev1.ClaimBound {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(pvc)})
		}
	}
	return out
}

package machine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/instance"
)

// worstDisk looks at the claims that a machine's template names.
func (r *Reconciler) worstDisk(ctx context.Context, vm *virtv1.VirtualMachine) (Disk, error) {
	worst := DiskReady
	if vm.Spec.Template == nil {
		return worst, nil
	}
	for _, name := range instance.Claims(&vm.Spec.Template.Spec) {
		state, err := r.disk(ctx, client.ObjectKey{Namespace: vm.Namespace, Name: name})
		if err != nil {
			return worst, err
		}
		worst = max(worst, state)
	}
	return worst, nil
}

func (r *Reconciler) disk(ctx context.Context, key client.ObjectKey) (Disk, error) {
	var dv cdiv1.DataVolume
	errVolume := r.Client.Get(ctx, key, &dv)
	var pvc corev1.PersistentVolumeClaim
	errClaim := r.Client.Get(ctx, key, &pvc)
	for _, err := range []error{errVolume, errClaim} {
		if err != nil && !apierrors.IsNotFound(err) {
			return DiskReady, fmt.Errorf("look up disk %s: %w", key, err)
		}
	}
	switch {
	case errVolume == nil && dv.Status.Phase == cdiv1.Failed:
		return DiskFailed, nil
	case errVolume == nil && dv.Status.Phase != cdiv1.Succeeded:
		return DiskFilling, nil
	case errClaim != nil:
		return DiskMissing, nil
	case pvc.Status.Phase != corev1.ClaimBound:
		return DiskUnbound, nil
	}
	return DiskReady, nil
}

package disk

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// observe sets claim and volume.
func (e *engine) observe(ctx context.Context, s *scope) flow.Outcome {
	key := types.NamespacedName{Namespace: s.disk.Namespace, Name: volumeName(s.disk)}
	var claim corev1.PersistentVolumeClaim
	found, err := e.find(ctx, key, &claim)
	if err != nil {
		return flow.Fail("ClaimUnknown", err)
	}
	if found {
		s.claim = &claim
	}
	var volume cdiv1.DataVolume
	found, err = e.find(ctx, key, &volume)
	if err != nil {
		return flow.Fail("DataVolumeUnknown", err)
	}
	if found {
		s.volume = &volume
	}
	return flow.Done()
}

func (e *engine) find(ctx context.Context, key types.NamespacedName, obj client.Object) (bool, error) {
	err := e.client.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get %T %s: %w", obj, key, err)
	}
	return true, nil
}

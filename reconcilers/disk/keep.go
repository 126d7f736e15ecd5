package disk

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// grantedSize is the annotation of a claim that holds the disk size it was last
// made or grown for. A claim's own request may be larger, for a file system.
const grantedSize = "disk.slipway.dev/size"

// keepClaim makes a filled claim outlive everything but its disk: with the disk
// as a further owner it stays when its DataVolume goes, with a finalizer it stays
// when somebody deletes it by name. What only served to fill it goes.
func (e *engine) keepClaim(ctx context.Context, s *scope) flow.Outcome {
	if s.claim == nil || s.lost() {
		return flow.Done()
	}
	marked := s.claim.DeepCopy()
	mark(marked, s)
	if err := e.update(ctx, s, marked); err != nil {
		return flow.Fail("ClaimNotKept", err)
	}
	if s.wasFilled() {
		return flow.Done()
	}
	if err := e.tidy(ctx, s); err != nil {
		return flow.Fail("CleanupFailed", err)
	}
	flow.Emit(ctx, "DataSourceImportCompleted", "the disk is ready")
	return flow.Done()
}

// mark puts on a claim what keeps it.
func mark(claim *corev1.PersistentVolumeClaim, s *scope) {
	if claim.DeletionTimestamp.IsZero() {
		controllerutil.AddFinalizer(claim, finalizers.PersistentVolumeClaimProtection)
	}
	if !isOwner(claim, s.disk) {
		reference := owner(s.disk)
		reference.Controller, reference.BlockOwnerDeletion = nil, nil
		claim.OwnerReferences = append(claim.OwnerReferences, reference)
	}
	if claim.Annotations == nil {
		claim.Annotations = map[string]string{}
	}
	if claim.Annotations[madeFromSource] == "" {
		claim.Annotations[madeFromSource] = sourceDigest(s.disk)
	}
	if claim.Annotations[grantedSize] == "" {
		claim.Annotations[grantedSize] = sizeAtBirth(s)
	}
}

// sizeAtBirth is the size that the volume was made for.
func sizeAtBirth(s *scope) string {
	if s.volume != nil && s.volume.Spec.Storage != nil {
		size := s.volume.Spec.Storage.Resources.Requests[corev1.ResourceStorage]
		return size.String()
	}
	size := s.claim.Spec.Resources.Requests[corev1.ResourceStorage]
	return size.String()
}

func isOwner(claim *corev1.PersistentVolumeClaim, vd *v1alpha2.VirtualDisk) bool {
	for _, reference := range claim.OwnerReferences {
		if reference.UID == vd.UID {
			return true
		}
	}
	return false
}

// update writes a changed claim, and makes it the scope's.
func (e *engine) update(ctx context.Context, s *scope, changed *corev1.PersistentVolumeClaim) error {
	if sameClaim(s.claim, changed) {
		return nil
	}
	patch := client.MergeFromWithOptions(s.claim, client.MergeFromWithOptimisticLock{})
	if err := e.client.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("patch claim %s: %w", s.claim.Name, err)
	}
	s.claim = changed
	return nil
}

// tidy removes the objects that only served to fill the volume.
func (e *engine) tidy(ctx context.Context, s *scope) error {
	e.desk.Forget(string(s.disk.UID))
	if s.blank() {
		return nil
	}
	inNamespace := metav1.ObjectMeta{Namespace: s.disk.Namespace}
	secret, authority := &corev1.Secret{ObjectMeta: inNamespace}, &corev1.ConfigMap{ObjectMeta: inNamespace}
	secret.Name, authority.Name = credentialsName(s.disk), authorityName(s.disk)
	objects := []client.Object{secret}
	if len(e.authority) > 0 {
		objects = append(objects, authority)
	}
	for _, obj := range objects {
		if err := e.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}

// sameClaim tells whether two states of a claim agree in all that we write.
func sameClaim(x, y *corev1.PersistentVolumeClaim) bool {
	return equality.Semantic.DeepEqual(x.ObjectMeta, y.ObjectMeta) && equality.Semantic.DeepEqual(x.Spec, y.Spec)
}

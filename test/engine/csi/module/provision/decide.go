package provision

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Annotations that Kubernetes and its provisioners agree on.
const (
	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
)

const snapshotGroup = "snapshot.storage.k8s.io"

// due tells whether a claim shall get a volume now.
func due(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, driver string) bool {
	switch {
	case class == nil || class.Provisioner != driver:
		return false
	case claim.Spec.VolumeName != "" || claim.Status.Phase != corev1.ClaimPending || claim.DeletionTimestamp != nil:
		return false
	case !fillable(claim):
		return false
	case lateBinding(class):
		return claim.Annotations[selectedNode] != ""
	default:
		return true
	}
}

func lateBinding(class *storagev1.StorageClass) bool {
	return class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

// fillable tells whether the driver can fill the volume, rather than a populator that makes a claim of its own.
func fillable(claim *corev1.PersistentVolumeClaim) bool {
	ref := claim.Spec.DataSourceRef
	if ref == nil {
		return true
	}
	group := ""
	if ref.APIGroup != nil {
		group = *ref.APIGroup
	}
	return group == "" && ref.Kind == "PersistentVolumeClaim" || group == snapshotGroup && ref.Kind == "VolumeSnapshot"
}

// abandoned tells whether a volume of the driver is to be deleted.
func abandoned(volume *corev1.PersistentVolume, driver string) bool {
	return volume.Annotations[provisionedBy] == driver && volume.Spec.CSI != nil && volume.DeletionTimestamp == nil &&
		volume.Status.Phase == corev1.VolumeReleased && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

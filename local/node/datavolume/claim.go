package datavolume

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/local/node/claim"
)

// claimFor is the claim of a DataVolume.
func claimFor(dv *cdiv1.DataVolume) *corev1.PersistentVolumeClaim {
	annotations := maps.Clone(dv.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, sourceAnnotations(dv.Spec.Source))
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: dv.Namespace, Name: dv.Name, Labels: claimLabels(dv), Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(dv, cdiv1.SchemeGroupVersion.WithKind("DataVolume"))},
		},
		Spec: claimSpec(dv),
	}
}

func claimLabels(dv *cdiv1.DataVolume) map[string]string {
	labels := maps.Clone(dv.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["app"] = "containerized-data-importer"
	return labels
}

// claimSpec: what spec.storage leaves open, CDI takes from the storage profile. The one of this node is fixed.
func claimSpec(dv *cdiv1.DataVolume) corev1.PersistentVolumeClaimSpec {
	if dv.Spec.PVC != nil && dv.Spec.Storage == nil {
		return *dv.Spec.PVC.DeepCopy()
	}
	s := dv.Spec.Storage
	spec := corev1.PersistentVolumeClaimSpec{
		AccessModes: s.AccessModes, Selector: s.Selector, Resources: s.Resources, VolumeName: s.VolumeName,
		StorageClassName: s.StorageClassName, VolumeMode: s.VolumeMode, DataSource: s.DataSource,
	}
	if s.DataSourceRef != nil {
		spec.DataSourceRef = s.DataSourceRef
	}
	if len(spec.AccessModes) == 0 {
		spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	if spec.VolumeMode == nil {
		block := corev1.PersistentVolumeBlock
		spec.VolumeMode = &block
	}
	return spec
}

func sourceAnnotations(s *cdiv1.DataVolumeSource) map[string]string {
	if s.Registry == nil {
		return map[string]string{claim.AnnotationSource: claim.SourceBlank}
	}
	out := map[string]string{claim.AnnotationSource: claim.SourceRegistry, claim.AnnotationEndpoint: *s.Registry.URL}
	if s.Registry.SecretRef != nil {
		out[claim.AnnotationSecret] = *s.Registry.SecretRef
	}
	if s.Registry.CertConfigMap != nil {
		out[claim.AnnotationCertConfigMap] = *s.Registry.CertConfigMap
	}
	return out
}

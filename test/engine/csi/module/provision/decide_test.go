package provision

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const driver = "driver"

func pointer[T any](value T) *T { return &value }

func TestDue(t *testing.T) {
	immediate := &storagev1.StorageClass{Provisioner: driver}
	late := &storagev1.StorageClass{Provisioner: driver, VolumeBindingMode: pointer(storagev1.VolumeBindingWaitForFirstConsumer)}
	cases := map[string]struct {
		edit  func(claim *corev1.PersistentVolumeClaim)
		class *storagev1.StorageClass
		want  bool
	}{
		"pending":              {class: immediate, want: true},
		"no class":             {},
		"of another driver":    {class: &storagev1.StorageClass{Provisioner: "other"}},
		"waits for a consumer": {class: late},
		"has a consumer": {class: late, want: true, edit: func(c *corev1.PersistentVolumeClaim) {
			c.Annotations = map[string]string{selectedNode: "node1"}
		}},
		"bound":         {class: immediate, edit: func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimBound }},
		"has a volume":  {class: immediate, edit: func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "volume" }},
		"being deleted": {class: immediate, edit: func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }},
		"of a snapshot": {class: immediate, want: true, edit: func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: pointer(snapshotGroup), Kind: "VolumeSnapshot", Name: "snap"}
		}},
		"of a claim": {class: immediate, want: true, edit: func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "other"}
		}},
		"for a populator": {class: immediate, edit: func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: pointer("cdi.kubevirt.io"), Kind: "VolumeImportSource", Name: "image"}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}
			if tc.edit != nil {
				tc.edit(claim)
			}
			if got := due(claim, tc.class, driver); got != tc.want {
				t.Errorf("due %t, want %t", got, tc.want)
			}
		})
	}
}

func TestAbandoned(t *testing.T) {
	cases := map[string]struct {
		edit func(volume *corev1.PersistentVolume)
		want bool
	}{
		"released": {want: true},
		"bound":    {edit: func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound }},
		"kept": {edit: func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}},
		"of another":     {edit: func(v *corev1.PersistentVolume) { v.Annotations[provisionedBy] = "other" }},
		"being deleted":  {edit: func(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{} }},
		"made by a user": {edit: func(v *corev1.PersistentVolume) { v.Annotations = nil }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{provisionedBy: driver}}}
			volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver}
			volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
			volume.Status.Phase = corev1.VolumeReleased
			if tc.edit != nil {
				tc.edit(volume)
			}
			if got := abandoned(volume, driver); got != tc.want {
				t.Errorf("abandoned %t, want %t", got, tc.want)
			}
		})
	}
}

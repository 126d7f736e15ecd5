package disk

import (
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// Annotations that CDI reads.
const (
	keepDataVolume = "cdi.kubevirt.io/storage.deleteAfterCompletion"
	bindAtOnce     = "cdi.kubevirt.io/storage.bind.immediate.requested"
)

// Keys of the Secret with which CDI logs in at a registry, and the one of the
// ConfigMap with its certificates.
const (
	userKey      = "accessKeyId"
	passwordKey  = "secretKey"
	authorityKey = "ca.crt"
)

// owner refers to the disk as the controller of what is made for it.
func owner(vd *v1alpha2.VirtualDisk) metav1.OwnerReference {
	return *metav1.NewControllerRef(vd, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualDiskKind))
}

func derivedMeta(vd *v1alpha2.VirtualDisk, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:            name,
		Namespace:       vd.Namespace,
		OwnerReferences: []metav1.OwnerReference{owner(vd)},
	}
}

// buildVolume makes the DataVolume that the scope calls for.
func buildVolume(s *scope, withAuthority bool) *cdiv1.DataVolume {
	volume := &cdiv1.DataVolume{ObjectMeta: derivedMeta(s.disk, volumeName(s.disk))}
	volume.Annotations = map[string]string{
		keepDataVolume: "false",
		madeFromSpec:   digest(s.disk.Spec),
		madeFromSource: sourceDigest(s.disk),
	}
	if !s.class.firstClaim {
		volume.Annotations[bindAtOnce] = "true"
	}
	volume.Spec.Source = volumeSource(s, withAuthority)
	volume.Spec.Storage = &cdiv1.StorageSpec{
		StorageClassName: ptr.To(s.class.name),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: s.size.value},
		},
	}
	volume.Spec.Storage.VolumeMode, volume.Spec.Storage.AccessModes = modes(s)
	return volume
}

// buildClaim makes the claim that the storage itself fills from a snapshot.
func buildClaim(s *scope) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: derivedMeta(s.disk, volumeName(s.disk))}
	claim.Annotations = map[string]string{madeFromSpec: digest(s.disk.Spec), madeFromSource: sourceDigest(s.disk)}
	claim.Spec = corev1.PersistentVolumeClaimSpec{
		StorageClassName: ptr.To(s.class.name),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: s.size.value},
		},
		DataSourceRef: &corev1.TypedObjectReference{
			APIGroup: ptr.To(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: s.source.snapshot.name,
		},
	}
	claim.Spec.VolumeMode, claim.Spec.AccessModes = modes(s)
	if claim.Spec.VolumeMode == nil {
		claim.Spec.VolumeMode = s.source.snapshot.volumeMode
	}
	if len(claim.Spec.AccessModes) == 0 {
		claim.Spec.AccessModes = s.source.snapshot.accessModes
	}
	return claim
}

// modes takes the volume and access mode from annotations; without them CDI
// chooses what the class is best at, and a restored claim has the snapshot's.
func modes(s *scope) (volume *corev1.PersistentVolumeMode, access []corev1.PersistentVolumeAccessMode) {
	if mode := annotated(annotations.VirtualDiskVolumeMode, s.disk, s.class.object); mode != "" {
		volume = ptr.To(corev1.PersistentVolumeMode(mode))
	}
	if mode := annotated(annotations.VirtualDiskAccessMode, s.disk, s.class.object); mode != "" {
		access = []corev1.PersistentVolumeAccessMode{corev1.PersistentVolumeAccessMode(mode)}
	}
	return volume, access
}

func volumeSource(s *scope, withAuthority bool) *cdiv1.DataVolumeSource {
	if s.blank() {
		return &cdiv1.DataVolumeSource{Blank: &cdiv1.DataVolumeBlankImage{}}
	}
	registry := &cdiv1.DataVolumeSourceRegistry{
		URL:       ptr.To("docker://" + s.source.url),
		SecretRef: ptr.To(credentialsName(s.disk)),
	}
	if withAuthority {
		registry.CertConfigMap = ptr.To(authorityName(s.disk))
	}
	return &cdiv1.DataVolumeSource{Registry: registry}
}

func buildCredentials(vd *v1alpha2.VirtualDisk, c intake.Login) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: derivedMeta(vd, credentialsName(vd)),
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{userKey: []byte(c.Username), passwordKey: []byte(c.Password)},
	}
}

func buildAuthority(vd *v1alpha2.VirtualDisk, bundle []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: derivedMeta(vd, authorityName(vd)),
		Data:       map[string]string{authorityKey: string(bundle)},
	}
}

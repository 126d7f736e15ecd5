package image

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// Annotations and keys that CDI reads.
const (
	keepDataVolume = "cdi.kubevirt.io/storage.deleteAfterCompletion"
	bindAtOnce     = "cdi.kubevirt.io/storage.bind.immediate.requested"
	userKey        = "accessKeyId"
	passwordKey    = "secretKey"
	authorityKey   = "ca.crt"
)

// volumeLabel names the image whose volume a DataVolume fills; claims inherit
// the labels of their DataVolume.
const volumeLabel = "image.slipway.dev/name"

// Names of what is made for an image: the DataVolume and its claim, the Secret
// with the login and the ConfigMap with the certificates of DVCR.
func volumeName(o client.Object) string    { return derived("d8v-vi-", o) }
func loginName(o client.Object) string     { return derived("d8v-vi-dvcr-auth-dv-", o) }
func authorityName(o client.Object) string { return derived("d8v-vi-dvcr-ca-", o) }

// derived cuts the image's name, never its UID, to what a name may be long.
func derived(prefix string, o client.Object) string {
	const longest = 253
	suffix, name := "-"+string(o.GetUID()), o.GetName()
	if room := longest - len(prefix) - len(suffix); len(name) > room {
		name = strings.TrimRight(name[:room], "-.")
	}
	return prefix + name + suffix
}

func derivedMeta(o client.Object, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      name,
		Namespace: o.GetNamespace(),
		OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(o, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualImageKind)),
		},
	}
}

// buildVolume makes the DataVolume that the scope calls for, after what it needs.
func buildVolume(s *scope, login intake.Login, authority []byte) []client.Object {
	source := &cdiv1.DataVolumeSourceRegistry{
		URL:       ptr.To("docker://" + s.registryURL),
		SecretRef: ptr.To(loginName(s.object)),
	}
	objects := []client.Object{&corev1.Secret{
		ObjectMeta: derivedMeta(s.object, loginName(s.object)),
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{userKey: []byte(login.Username), passwordKey: []byte(login.Password)},
	}}
	if len(authority) > 0 {
		source.CertConfigMap = ptr.To(authorityName(s.object))
		objects = append(objects, &corev1.ConfigMap{
			ObjectMeta: derivedMeta(s.object, authorityName(s.object)),
			Data:       map[string]string{authorityKey: string(authority)},
		})
	}
	made := &cdiv1.DataVolume{ObjectMeta: derivedMeta(s.object, volumeName(s.object))}
	made.Annotations = map[string]string{keepDataVolume: "false", bindAtOnce: "true"}
	made.Labels = map[string]string{volumeLabel: s.object.GetName()}
	made.Spec.Source = &cdiv1.DataVolumeSource{Registry: source}
	made.Spec.Storage = &cdiv1.StorageSpec{
		StorageClassName: ptr.To(s.class),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(s.unpacked(), resource.BinarySI)},
		},
	}
	return append(objects, made)
}

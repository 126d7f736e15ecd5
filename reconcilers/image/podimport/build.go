package podimport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/dvcr/importer"
)

// Labels and annotations of importer pods. The quota label keeps a tenant's quota from stopping an import.
const (
	appLabel   = "app"
	appName    = "dvcr-data-importer"
	quotaLabel = "resource-quota-overrides.deckhouse.io/ignore"
	idLabel    = "import.slipway.dev/id"    // the hash that names the pod
	jobMark    = "import.slipway.dev/job"   // the ID of the job
	orderMark  = "import.slipway.dev/order" // the digest of its order
)

// Where things are in the pod.
const (
	container  = "dvcr-importer"
	orderDir   = "/etc/slipway/import"
	orderFile  = "order.json"
	workDir    = "/var/lib/slipway/import"
	volumePath = "/volume"
	port       = 8443
	user       = 64535
)

// nameOf names the pod and the Secret of a job.
func nameOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "d8v-importer-" + hex.EncodeToString(sum[:10])
}

// namespaceOf is where the pod of a job runs: beside the claim that it reads, else in Slipway's own namespace, where no
// tenant sees what it may do.
func (r *Runner) namespaceOf(job importer.Job) string {
	if v := job.Source.Volume; v != nil {
		return v.Namespace
	}
	return r.options.Namespace
}

// encode writes the order of a job, and its digest.
func (r *Runner) encode(job importer.Job) (text []byte, digest string, err error) {
	repository, _, _ := strings.Cut(job.Destination, ":")
	login := r.options.Login(repository)
	order := importer.Order{
		Job: job, Registry: r.options.Registry, Username: login.Username, Password: login.Password,
		CABundle: r.options.Authority, Allow: r.options.Egress.Allow, Owner: job.ID,
	}
	text, err = json.Marshal(order)
	if err != nil {
		return nil, "", fmt.Errorf("encode the order of import %s: %w", job.ID, err)
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:]), nil
}

// controllerOf is what a pod goes with, in its own namespace: the claim that it reads, or else the template that it is made after.
// The object that wants the image may be in another namespace, and no owner there. A pod without a controller is left alone by
// "kubectl drain"; one that was evicted is made anew by Ensure.
func controllerOf(claim *corev1.PersistentVolumeClaim, template *corev1.PodTemplate) metav1.OwnerReference {
	if claim != nil {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: claim.Name, UID: claim.UID, Controller: ptr.To(true)}
	}
	return metav1.OwnerReference{APIVersion: "v1", Kind: "PodTemplate", Name: template.Name, UID: template.UID, Controller: ptr.To(true)}
}

func (r *Runner) meta(job importer.Job, digest string) metav1.ObjectMeta {
	name := nameOf(job.ID)
	return metav1.ObjectMeta{
		Name:        name,
		Namespace:   r.namespaceOf(job),
		Labels:      map[string]string{appLabel: appName, quotaLabel: "true", idLabel: name},
		Annotations: map[string]string{jobMark: job.ID, orderMark: digest},
	}
}

// buildSecret holds the order; it goes with the pod.
func buildSecret(pod *corev1.Pod, order []byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{orderFile: order},
	}
}

// buildPod makes the pod of a job. It meets the restricted pod security standard.
func (r *Runner) buildPod(job importer.Job, digest string, claim *corev1.PersistentVolumeClaim, from *corev1.PodTemplate) *corev1.Pod {
	template := from.Template.Spec
	like := template.Containers[0]
	c := corev1.Container{
		Name:            container,
		Image:           like.Image,
		ImagePullPolicy: like.ImagePullPolicy,
		Command:         []string{"slipway-dvcr", "import"},
		Ports:           []corev1.ContainerPort{{Name: "metrics", ContainerPort: port}},
		Resources:       like.Resources,
		VolumeMounts: []corev1.VolumeMount{
			{Name: "order", MountPath: orderDir, ReadOnly: true},
			{Name: "work", MountPath: workDir},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			ReadOnlyRootFilesystem:   ptr.To(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
	pod := &corev1.Pod{ObjectMeta: r.meta(job, digest), Spec: corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever,
		AutomountServiceAccountToken: ptr.To(false),
		EnableServiceLinks:           ptr.To(false),
		NodeSelector:                 template.NodeSelector,
		Affinity:                     template.Affinity,
		Tolerations:                  template.Tolerations,
		PriorityClassName:            template.PriorityClassName,
		ImagePullSecrets:             template.ImagePullSecrets,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](user), RunAsGroup: ptr.To[int64](user), FSGroup: ptr.To[int64](user),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Volumes: []corev1.Volume{
			{Name: "order", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: nameOf(job.ID)}}},
			{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}}
	pod.OwnerReferences = []metav1.OwnerReference{controllerOf(claim, from)}
	if claim != nil {
		mountVolume(&pod.Spec, &c, claim)
	}
	pod.Spec.Containers = []corev1.Container{c}
	return pod
}

// mountVolume gives the importer the disk that it reads.
func mountVolume(spec *corev1.PodSpec, c *corev1.Container, claim *corev1.PersistentVolumeClaim) {
	const name = "volume"
	source := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name, ReadOnly: true}}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	c.Command = append(c.Command, "--volume", volumePath)
	if ptr.Deref(claim.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock {
		c.VolumeDevices = []corev1.VolumeDevice{{Name: name, DevicePath: volumePath}}
		return
	}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: volumePath, ReadOnly: true})
}

package manifest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
)

// Version is that of the KubeVirt in this module's go.mod.
const Version = "v1.7.0"

// objectName is what operator and components expect their configuration to be called.
const objectName = "kubevirt"

func (p Plan) namespaceObject() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   p.Namespace,
		Labels: map[string]string{"kubevirt.io": "", "pod-security.kubernetes.io/enforce": "privileged"},
	}}
}

// configuration emulates processors, because machines without virtualization of their own run the engine too, and has a
// node that is drained hand its guests on, where they can migrate.
func (p Plan) configuration() *kubevirtv1.KubeVirt {
	verbosity := &kubevirtv1.LogVerbosity{
		VirtAPI: p.Verbosity, VirtController: p.Verbosity, VirtHandler: p.Verbosity, VirtLauncher: p.Verbosity,
	}
	eviction := kubevirtv1.EvictionStrategyLiveMigrateIfPossible
	return &kubevirtv1.KubeVirt{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: objectName},
		Spec: kubevirtv1.KubeVirtSpec{
			ImagePullPolicy: corev1.PullIfNotPresent,
			Configuration: kubevirtv1.KubeVirtConfiguration{
				ImagePullPolicy:        corev1.PullIfNotPresent,
				EvictionStrategy:       &eviction,
				DeveloperConfiguration: &kubevirtv1.DeveloperConfiguration{UseEmulation: true, FeatureGates: p.Gates, LogVerbosity: verbosity},
			},
		},
	}
}

// deployed is the status by which the components believe that an operator has installed them.
func (p Plan) deployed() *kubevirtv1.KubeVirt {
	return &kubevirtv1.KubeVirt{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: objectName},
		Status: kubevirtv1.KubeVirtStatus{
			Phase:                   kubevirtv1.KubeVirtPhaseDeployed,
			DefaultArchitecture:     "amd64",
			ObservedKubeVirtVersion: Version,
			TargetKubeVirtVersion:   Version,
		},
	}
}

// priorityClass is that of the components' pods.
func priorityClass() any { return components.NewKubeVirtPriorityClassCR() }

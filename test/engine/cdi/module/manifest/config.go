package manifest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	sdkapi "kubevirt.io/controller-lifecycle-operator-sdk/api"
)

// objectName is what CDI's components look for.
const objectName = "cdi"

func (p Plan) namespaceObject() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.Namespace, Labels: map[string]string{"cdi.kubevirt.io": ""}}}
}

// configuration is what a user would create for the operator, with the status that the operator would write when it is
// done: the kind has no subresource for it.
func (p Plan) configuration() *cdiv1.CDI {
	return &cdiv1.CDI{
		ObjectMeta: metav1.ObjectMeta{Name: objectName},
		Spec: cdiv1.CDISpec{
			ImagePullPolicy: corev1.PullIfNotPresent,
			Config:          &cdiv1.CDIConfigSpec{FeatureGates: []string{"HonorWaitForFirstConsumer"}},
		},
		Status: cdiv1.CDIStatus{Status: sdkapi.Status{
			Phase: sdkapi.PhaseDeployed, OperatorVersion: Version, TargetVersion: Version, ObservedVersion: Version,
		}},
	}
}

// derived is the configuration that the operator copies from the user's.
func (p Plan) derived() *cdiv1.CDIConfig {
	return &cdiv1.CDIConfig{ObjectMeta: metav1.ObjectMeta{Name: "config"}, Spec: *p.configuration().Spec.Config}
}

package manifest

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/install"
	operatorutil "kubevirt.io/kubevirt/pkg/virt-operator/util"
)

// stage is what is applied in one go.
type stage struct {
	file    string
	objects []any
}

// stages are everything, in the order in which it is applied. The webhooks come last: virt-api must answer by then.
func stages(plan Plan) ([]stage, certificates, error) {
	strategy, err := install.GenerateCurrentInstallStrategy(plan.deployment(), "", plan.Namespace)
	if err != nil {
		return nil, certificates{}, fmt.Errorf("ask KubeVirt for its manifests: %w", err)
	}
	issued, err := issue(strategy, plan)
	if err != nil {
		return nil, certificates{}, err
	}
	crds, err := definitions(strategy)
	if err != nil {
		return nil, certificates{}, err
	}
	return []stage{
		{"10-crds.json", crds},
		{"15-config.json", []any{plan.namespaceObject(), priorityClass(), plan.configuration()}},
		{"16-kubevirt-status.json", []any{plan.deployed()}},
		{"20-certificates.json", slices.Concat(list(issued.secrets), list(issued.bundles(strategy)))},
		{"30-rbac.json", permissions(strategy)},
		{"40-services.json", list(services(strategy, plan))},
		{"45-apiservices.json", list(apiServices(strategy, plan, issued.authority))},
		{"50-workloads.json", workloads(strategy, plan)},
		{"60-webhooks.json", slices.Concat(list(mutating(strategy, plan, issued.authority)), list(validating(strategy, plan, issued.authority)), policies(strategy))},
	}, issued, nil
}

// deployment is the operator's configuration.
func (p Plan) deployment() *operatorutil.KubeVirtDeploymentConfig {
	return &operatorutil.KubeVirtDeploymentConfig{
		Namespace:             p.Namespace,
		Registry:              p.Registry,
		KubeVirtVersion:       Version,
		VirtApiImage:          p.image("virt-api"),
		VirtControllerImage:   p.image("virt-controller"),
		VirtHandlerImage:      p.image("virt-handler"),
		VirtLauncherImage:     p.image("virt-launcher"),
		VirtExportServerImage: p.image("virt-exportserver"),
		AdditionalProperties:  map[string]string{operatorutil.AdditionalPropertiesNamePullPolicy: "IfNotPresent"},
		PassthroughEnvVars:    map[string]string{},
	}
}

// permissions are those of all components. Roles of the export proxy refer to a service account of their own.
func permissions(strategy *install.Strategy) []any {
	return slices.Concat(list(strategy.ServiceAccounts()), list(strategy.ClusterRoles()), list(strategy.ClusterRoleBindings()),
		list(strategy.Roles()), list[*rbacv1.RoleBinding](strategy.RoleBindings()))
}

// policies keep virt-handlers from touching other nodes.
func policies(strategy *install.Strategy) []any {
	return slices.Concat(list(strategy.ValidatingAdmissionPolicies()), list(strategy.ValidatingAdmissionPolicyBindings()))
}

// workloads are virt-api, virt-controller and virt-handler.
func workloads(strategy *install.Strategy, plan Plan) []any {
	if plan.Shape != Pods {
		return nil
	}
	for _, deployment := range strategy.ApiDeployments() {
		nameEachPortOnce(deployment.Spec.Template.Spec.Containers)
	}
	return slices.Concat(list(strategy.ApiDeployments()), list(strategy.ControllerDeployments()), list(strategy.DaemonSets()))
}

// nameEachPortOnce keeps the last of the names that KubeVirt gives one port, by which a Service knows it: server-side
// apply takes ports for a set.
func nameEachPortOnce(containers []corev1.Container) {
	for i := range containers {
		byNumber := map[int32]corev1.ContainerPort{}
		for _, port := range containers[i].Ports {
			byNumber[port.ContainerPort] = port
		}
		containers[i].Ports = slices.DeleteFunc(containers[i].Ports, func(port corev1.ContainerPort) bool {
			return byNumber[port.ContainerPort].Name != port.Name
		})
	}
}

func list[T any](objects []T) []any {
	out := make([]any, 0, len(objects))
	for _, object := range objects {
		out = append(out, object)
	}
	return out
}

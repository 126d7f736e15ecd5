package manifest

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/install"
)

// services are virt-api's own and, in pods, that of its siblings' metrics.
func services(strategy *install.Strategy, plan Plan) []*corev1.Service {
	var out []*corev1.Service
	for _, service := range strategy.Services() {
		switch {
		case service.Name == components.KubevirtOperatorWebhookServiceName || service.Name == components.VirtExportProxyServiceName:
		case plan.Shape == Pods:
			out = append(out, service)
		case service.Name == components.VirtAPIName:
			service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}
			out = append(out, service)
		}
	}
	return out
}

// apiServices make the API server hand subresources to virt-api.
func apiServices(strategy *install.Strategy, plan Plan, authority []byte) []*apiregistrationv1.APIService {
	for _, service := range strategy.APIServices() {
		service.Spec.CABundle = authority
		service.Spec.Service.Port = plan.virtAPIPort()
	}
	return strategy.APIServices()
}

// validating are virt-api's; those of virt-operator, which does not run, are left out.
func validating(strategy *install.Strategy, plan Plan, authority []byte) []*admissionv1.ValidatingWebhookConfiguration {
	var out []*admissionv1.ValidatingWebhookConfiguration
	for _, configuration := range strategy.ValidatingWebhookConfigurations() {
		if configuration.Name == components.KubeVirtOperatorValidatingWebhookName {
			continue
		}
		for i := range configuration.Webhooks {
			reach(&configuration.Webhooks[i].ClientConfig, plan, authority)
		}
		out = append(out, configuration)
	}
	return out
}

func mutating(strategy *install.Strategy, plan Plan, authority []byte) []*admissionv1.MutatingWebhookConfiguration {
	for _, configuration := range strategy.MutatingWebhookConfigurations() {
		for i := range configuration.Webhooks {
			reach(&configuration.Webhooks[i].ClientConfig, plan, authority)
		}
	}
	return strategy.MutatingWebhookConfigurations()
}

func reach(client *admissionv1.WebhookClientConfig, plan Plan, authority []byte) {
	client.CABundle = authority
	if client.Service != nil {
		client.Service.Port = plan.virtAPIPort()
	}
}

// virtAPIPort is nil, the port of HTTPS, where a Service translates.
func (p Plan) virtAPIPort() *int32 {
	if p.Shape == Pods {
		return nil
	}
	port := int32(p.Port)
	return &port
}

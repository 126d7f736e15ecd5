package admission

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Names of the configurations.
const (
	ValidatingName = "virtualization-controller-admission-webhook"
	MutatingName   = "virtualization-controller-defaulter-webhook"
)

// ConvertedDefinition names the definition whose versions the handlers translate.
const ConvertedDefinition = "virtualmachineclasses." + v1alpha2.GroupName

const (
	conversionPath = "/convert"
	timeoutSeconds = int32(10)
)

// kind is a kind with admission rules.
type kind struct {
	// short is its part of the webhook's name.
	short string
	// resource is the plural, lower case.
	resource string
	// singular is the kind, lower case.
	singular string
	cluster  bool
}

var (
	machines      = kind{short: "vm", resource: "virtualmachines", singular: "virtualmachine"}
	disks         = kind{short: "vd", resource: "virtualdisks", singular: "virtualdisk"}
	images        = kind{short: "vi", resource: "virtualimages", singular: "virtualimage"}
	clusterImages = kind{short: "cvi", resource: "clustervirtualimages", singular: "clustervirtualimage", cluster: true}
	addresses     = kind{short: "vmip", resource: "virtualmachineipaddresses", singular: "virtualmachineipaddress"}
	leases        = kind{short: "vmipl", resource: "virtualmachineipaddressleases", singular: "virtualmachineipaddresslease", cluster: true}
	classes       = kind{short: "vmclass-v1alpha2", resource: "virtualmachineclasses", singular: "virtualmachineclass", cluster: true}

	validated = []kind{machines, disks, images, clusterImages, addresses, leases, classes}
)

func validatePath(k kind) string { return "/validate-" + pathOf(k) }

func mutatePath(k kind) string { return "/mutate-" + pathOf(k) }

func pathOf(k kind) string {
	return strings.ReplaceAll(v1alpha2.GroupName, ".", "-") + "-" + v1alpha2.Version + "-" + k.singular
}

// Endpoint is where the API server reaches the handlers: a base URL on one
// machine, a Service in a cluster. Exactly one of them is set.
type Endpoint struct {
	// BaseURL such as https://127.0.0.1:9443, without a path.
	BaseURL string
	// ServiceNamespace, ServiceName and ServicePort name the Service.
	ServiceNamespace, ServiceName string
	ServicePort                   int32
	// CABundle is the certificate authority of the handlers, PEM.
	CABundle []byte
}

func (e Endpoint) clientConfig(path string) admissionregistrationv1.WebhookClientConfig {
	config := admissionregistrationv1.WebhookClientConfig{CABundle: e.CABundle}
	if e.BaseURL != "" {
		config.URL = ptr.To(e.BaseURL + path)
		return config
	}
	config.Service = &admissionregistrationv1.ServiceReference{
		Namespace: e.ServiceNamespace, Name: e.ServiceName, Path: ptr.To(path), Port: ptr.To(e.ServicePort),
	}
	return config
}

// Configurations are what the API server must be told so that it asks the
// handlers. They fail closed, and concern no other API group.
func Configurations(e Endpoint) (*admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration) {
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: MutatingName},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    "vm.virtualization-controller.default.d8-virtualization",
			ClientConfig:            e.clientConfig(mutatePath(machines)),
			Rules:                   rulesFor(machines),
			FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
			MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          ptr.To(timeoutSeconds),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: ValidatingName},
	}
	for _, k := range validated {
		validating.Webhooks = append(validating.Webhooks, admissionregistrationv1.ValidatingWebhook{
			Name:                    k.short + ".virtualization-controller.validate.d8-virtualization",
			ClientConfig:            e.clientConfig(validatePath(k)),
			Rules:                   rulesFor(k),
			FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
			MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          ptr.To(timeoutSeconds),
			AdmissionReviewVersions: []string{"v1"},
		})
	}
	return mutating, validating
}

func rulesFor(k kind) []admissionregistrationv1.RuleWithOperations {
	scope := admissionregistrationv1.NamespacedScope
	if k.cluster {
		scope = admissionregistrationv1.ClusterScope
	}
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule: admissionregistrationv1.Rule{
			APIGroups:   []string{v1alpha2.GroupName},
			APIVersions: []string{v1alpha2.Version},
			Resources:   []string{k.resource},
			Scope:       ptr.To(scope),
		},
	}}
}

// Conversion is what the definition of VirtualMachineClass says in
// spec.conversion, so that the API server translates between its versions.
func Conversion(e Endpoint) *apiextensionsv1.CustomResourceConversion {
	admits := e.clientConfig(conversionPath)
	config := &apiextensionsv1.WebhookClientConfig{URL: admits.URL, CABundle: admits.CABundle}
	if s := admits.Service; s != nil {
		config.Service = &apiextensionsv1.ServiceReference{Namespace: s.Namespace, Name: s.Name, Path: s.Path, Port: s.Port}
	}
	return &apiextensionsv1.CustomResourceConversion{
		Strategy: apiextensionsv1.WebhookConverter,
		Webhook:  &apiextensionsv1.WebhookConversion{ClientConfig: config, ConversionReviewVersions: []string{"v1"}},
	}
}

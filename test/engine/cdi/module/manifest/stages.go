package manifest

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"kubevirt.io/containerized-data-importer/pkg/operator/resources/cluster"
	"kubevirt.io/containerized-data-importer/pkg/operator/resources/namespaced"
	"kubevirt.io/containerized-data-importer/pkg/operator/resources/operator"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Groups of CDI's generators. Those of monitoring and network policies are left out.
var (
	staticGroups     = []string{"apiserver-rbac", "controller-rbac", "uploadproxy-rbac", "cronjob-rbac", "aggregate-roles"}
	namespacedGroups = []string{"apiserver", "controller", "uploadproxy", "cronjob"}
)

const (
	definitionsGroup   = "crd-resources"
	registrationsGroup = "apiserver-registrations"

	apiService      = "cdi-api"
	authorityBundle = "cdi-apiserver-signer-bundle"
)

// stage is what is applied in one go.
type stage struct {
	file    string
	objects []client.Object
}

// stages are everything, in the order in which it is applied. The webhooks come last: CDI's API server must answer by then.
func stages(plan Plan) ([]stage, error) {
	certificates, err := issue(plan)
	if err != nil {
		return nil, err
	}
	definitions, err := cluster.CreateStaticResourceGroup(definitionsGroup, plan.clusterArgs())
	if err != nil {
		return nil, fmt.Errorf("ask CDI for its definitions: %w", err)
	}
	components, err := componentObjects(plan)
	if err != nil {
		return nil, err
	}
	registrations, err := cluster.CreateDynamicResourceGroup(registrationsGroup, plan.clusterArgs())
	if err != nil {
		return nil, fmt.Errorf("ask CDI for its webhooks: %w", err)
	}
	services, workloads, permissions := sort(components, plan)
	apis, webhooks := split(reach(registrations, plan, bundle(certificates)))
	return []stage{
		{"10-crds.json", append(definitions, operator.NewCdiCrd())},
		{"15-config.json", []client.Object{plan.namespaceObject(), plan.configuration(), plan.derived()}},
		{"20-certificates.json", certificates},
		{"30-rbac.json", permissions},
		{"40-services.json", services},
		{"45-apiservices.json", apis},
		{"50-workloads.json", workloads},
		{"60-webhooks.json", webhooks},
	}, nil
}

// componentObjects are what each component consists of, without its definitions.
func componentObjects(plan Plan) ([]client.Object, error) {
	var objects []client.Object
	for _, group := range staticGroups {
		made, err := cluster.CreateStaticResourceGroup(group, plan.clusterArgs())
		if err != nil {
			return nil, fmt.Errorf("ask CDI for group %s: %w", group, err)
		}
		objects = append(objects, made...)
	}
	for _, group := range namespacedGroups {
		made, err := namespaced.CreateResourceGroup(group, plan.namespacedArgs())
		if err != nil {
			return nil, fmt.Errorf("ask CDI for group %s: %w", group, err)
		}
		objects = append(objects, made...)
	}
	return objects, nil
}

// sort tells services and workloads from permissions.
func sort(objects []client.Object, plan Plan) (services, workloads, permissions []client.Object) {
	for _, object := range objects {
		switch typed := object.(type) {
		case *appsv1.Deployment:
			if plan.Shape == Pods {
				workloads = append(workloads, typed)
			}
		case *corev1.Service:
			if plan.Shape == Pods {
				services = append(services, typed)
			} else if typed.Name == apiService {
				typed.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}
				services = append(services, typed)
			}
		case *apiextensionsv1.CustomResourceDefinition:
		default:
			permissions = append(permissions, object)
		}
	}
	return services, workloads, permissions
}

// split tells what CDI serves, by which it is known to answer, from what it judges.
func split(registrations []client.Object) (apis, webhooks []client.Object) {
	for _, object := range registrations {
		if _, serves := object.(*apiregistrationv1.APIService); serves {
			apis = append(apis, object)
		} else {
			webhooks = append(webhooks, object)
		}
	}
	return apis, webhooks
}

// bundle finds the authority of CDI's API server.
func bundle(certificates []client.Object) []byte {
	i := slices.IndexFunc(certificates, func(o client.Object) bool {
		configMap, ok := o.(*corev1.ConfigMap)
		return ok && configMap.Name == authorityBundle
	})
	return []byte(certificates[i].(*corev1.ConfigMap).Data[bundleKey])
}

// reach tells the API server of Kubernetes how to find and believe CDI's.
func reach(registrations []client.Object, plan Plan, authority []byte) []client.Object {
	for _, object := range registrations {
		switch typed := object.(type) {
		case *apiregistrationv1.APIService:
			typed.Spec.CABundle = authority
			if plan.Shape == Processes {
				typed.Spec.Service.Port = plan.port()
			}
		case *admissionv1.ValidatingWebhookConfiguration:
			for i := range typed.Webhooks {
				plan.reachWebhook(&typed.Webhooks[i].ClientConfig, authority)
			}
		case *admissionv1.MutatingWebhookConfiguration:
			for i := range typed.Webhooks {
				plan.reachWebhook(&typed.Webhooks[i].ClientConfig, authority)
			}
		}
	}
	return registrations
}

func (p Plan) reachWebhook(config *admissionv1.WebhookClientConfig, authority []byte) {
	config.CABundle = authority
	if p.Shape == Processes {
		config.Service.Port = p.port()
	}
}

func (p Plan) port() *int32 {
	port := int32(p.Port)
	return &port
}

func (p Plan) clusterArgs() *cluster.FactoryArgs { return &cluster.FactoryArgs{Namespace: p.Namespace} }

func (p Plan) namespacedArgs() *namespaced.FactoryArgs {
	return &namespaced.FactoryArgs{
		OperatorVersion:        Version,
		DeployClusterResources: "true",
		ControllerImage:        p.image("cdi-controller"),
		ImporterImage:          p.image("cdi-importer"),
		ClonerImage:            p.image("cdi-cloner"),
		OvirtPopulatorImage:    p.image("cdi-ovirt-populator"),
		APIServerImage:         p.image("cdi-apiserver"),
		UploadProxyImage:       p.image("cdi-uploadproxy"),
		UploadServerImage:      p.image("cdi-uploadserver"),
		Verbosity:              fmt.Sprint(p.Verbosity),
		PullPolicy:             string(corev1.PullIfNotPresent),
		Namespace:              p.Namespace,
		ControllerReplicas:     1,
		APIServerReplicas:      1,
		UploadProxyReplicas:    1,
	}
}

package conformance

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/config/crd"
	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/test/kubetest"
)

// TestServed installs all definitions, Slipway's and the engine's, in a real API server. It refuses what is not
// structural and rules that could take too long; the rest of what it minds stands in the conditions.
func TestServed(t *testing.T) {
	config := kubetest.StartFS(t, crd.Files, enginecrd.Files)
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	var list apiextensionsv1.CustomResourceDefinitionList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 {
		t.Error("no definition is installed")
	}
	good := map[apiextensionsv1.CustomResourceDefinitionConditionType]bool{
		apiextensionsv1.Established:   true,
		apiextensionsv1.NamesAccepted: true,
		// Only of definitions in a group of Kubernetes' own, such as VolumeSnapshot's.
		apiextensionsv1.KubernetesAPIApprovalPolicyConformant: true,
	}
	for _, item := range list.Items {
		for _, condition := range item.Status.Conditions {
			if wanted := good[condition.Type]; (condition.Status == apiextensionsv1.ConditionTrue) != wanted {
				t.Errorf("%s: %s is %s: %s", item.Name, condition.Type, condition.Status, condition.Message)
			}
		}
	}
}

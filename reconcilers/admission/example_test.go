package admission_test

import (
	"fmt"

	"slipway.dev/slipway/reconcilers/admission"
)

func ExampleConfigurations() {
	_, validating := admission.Configurations(admission.Endpoint{BaseURL: "https://127.0.0.1:9443"})
	fmt.Println(validating.Webhooks[0].Name, *validating.Webhooks[0].ClientConfig.URL)
	// Output: vm.virtualization-controller.validate.d8-virtualization https://127.0.0.1:9443/validate-virtualization-deckhouse-io-v1alpha2-virtualmachine
}

package v1alpha3_test

import (
	"fmt"

	"slipway.dev/slipway/api/virtualization/v1alpha3"
)

// A class is stored as v1alpha2, which has core fractions as numbers.
func ExampleToV1alpha2() {
	class := &v1alpha3.VirtualMachineClass{Spec: v1alpha3.VirtualMachineClassSpec{
		SizingPolicies: []v1alpha3.SizingPolicy{{CoreFractions: []v1alpha3.CoreFraction{"10%", "100%"}}},
	}}
	stored, err := v1alpha3.ToV1alpha2(class)
	fmt.Println(stored.Spec.SizingPolicies[0].CoreFractions, err)
	// Output: [10 100] <nil>
}

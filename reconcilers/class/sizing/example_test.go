package sizing_test

import (
	"fmt"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/class/sizing"
)

func ExampleMatch() {
	small := []v1alpha2.SizingPolicy{{Cores: v1alpha2.SizingPolicyCores{Min: 1, Max: 4}}}
	fmt.Println(sizing.Match(small, &v1alpha2.VirtualMachineSpec{CPU: v1alpha2.CPUSpec{Cores: 8}}))
	// Output: no sizing policy of the class fits 8 cores: use 1–4
}

package power_test

import (
	"fmt"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/machine/power"
)

func ExampleDecide() {
	fmt.Println(power.Decide(power.Input{Policy: v1alpha2.AlwaysOnPolicy, Instance: power.ShutDown, Ready: true}))
	fmt.Println(power.Decide(power.Input{Policy: v1alpha2.ManualPolicy, Instance: power.ShutDown, Ready: true}))
	// Output:
	// Start
	// Keep
}

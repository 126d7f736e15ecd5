package change_test

import (
	"fmt"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/machine/change"
)

func ExampleDiff() {
	current := &v1alpha2.VirtualMachineSpec{CPU: v1alpha2.CPUSpec{Cores: 1}}
	desired := &v1alpha2.VirtualMachineSpec{CPU: v1alpha2.CPUSpec{Cores: 2}, RunPolicy: v1alpha2.ManualPolicy}
	for _, c := range change.Diff(current, desired) {
		fmt.Printf("%s %s: %v to %v needs %s\n", c.Operation, c.Path, c.Current, c.Desired, c.Action)
	}
	// Output:
	// replace runPolicy: AlwaysOnUnlessStoppedManually to Manual needs Live
	// replace cpu.cores: 1 to 2 needs Restart
}

package kubevirt_test

import (
	"fmt"

	"slipway.dev/slipway/reconcilers/kubevirt"
)

func ExampleVirtualMachine() {
	in := input()
	in.Machine.Spec.CPU.Cores = 17
	_, err := kubevirt.VirtualMachine(in)
	fmt.Println(err)
	// Output: spec.cpu.cores: 17 cores do not spread evenly over 2 sockets: use a multiple of 2
}

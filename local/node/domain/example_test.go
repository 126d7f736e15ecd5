package domain_test

import (
	"fmt"

	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/domain"
)

func ExampleUnsupported() {
	spec := &virtv1.VirtualMachineInstanceSpec{}
	spec.Domain.Devices.TPM = &virtv1.TPMDevice{}
	spec.Domain.Devices.Rng = &virtv1.Rng{}
	fmt.Println(domain.Unsupported(spec))
	// Output: [spec.domain.devices.tpm]
}

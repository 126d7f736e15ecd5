package address

import (
	"crypto/sha256"
	"encoding/hex"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// suffixLength is as long as the suffix that the API server generates.
const suffixLength = 5

// NameFor is the name of the address that a machine wants: the one it names, or
// one of its own. The latter is derived from the machine's UID and not
// generated, so that whoever dies while creating it finds it again.
func NameFor(vm *v1alpha2.VirtualMachine) string {
	if vm.Spec.VirtualMachineIPAddressName != "" {
		return vm.Spec.VirtualMachineIPAddressName
	}
	return OwnName(vm)
}

// OwnName is the name of the address that is made for a machine that names none.
func OwnName(vm *v1alpha2.VirtualMachine) string {
	sum := sha256.Sum256([]byte(vm.UID))
	return vm.Name + "-" + hex.EncodeToString(sum[:])[:suffixLength]
}

package instance

import (
	"errors"
	"slices"

	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/domain"
)

// AddressAnnotation on an instance names the IP address that its guest gets. Slipway and DVP set it.
const AddressAnnotation = "cni.cilium.io/ipAddress"

// Annotations that tell how to reach a guest.
const (
	SSHAnnotation         = "node.slipway.dev/ssh"         // host:port on this machine that leads to the guest's SSH
	SerialAnnotation      = "node.slipway.dev/serial"      // Unix socket of the serial console
	AcceleratorAnnotation = "node.slipway.dev/accelerator" // kvm or tcg
)

func addFinalizer(vmi *virtv1.VirtualMachineInstance) bool {
	if slices.Contains(vmi.Finalizers, virtv1.VirtualMachineInstanceFinalizer) {
		return false
	}
	vmi.Finalizers = append(vmi.Finalizers, virtv1.VirtualMachineInstanceFinalizer)
	return true
}

func removeFinalizer(vmi *virtv1.VirtualMachineInstance) bool {
	before := len(vmi.Finalizers)
	vmi.Finalizers = slices.DeleteFunc(vmi.Finalizers, func(f string) bool {
		return f == virtv1.VirtualMachineInstanceFinalizer || f == virtv1.DeprecatedVirtualMachineInstanceFinalizer
	})
	return len(vmi.Finalizers) < before
}

func isInvalid(err error) bool { return errors.Is(err, domain.ErrInvalid) }

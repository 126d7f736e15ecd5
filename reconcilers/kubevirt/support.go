package kubevirt

import (
	"errors"
	"fmt"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// CheckSupported refuses what a spec may say and this version cannot do. It
// needs nothing but the spec, so that a user learns of it at once.
func CheckSupported(spec *v1alpha2.VirtualMachineSpec) error {
	return errors.Join(CheckNetworks(spec), checkUSB(spec), checkMainNetwork(spec), checkUserData(spec.Provisioning))
}

// CheckNetworks refuses additional networks: they need an SDN that this version
// does not drive.
func CheckNetworks(spec *v1alpha2.VirtualMachineSpec) error {
	for i, network := range spec.Networks {
		if network.Type == v1alpha2.NetworkMain {
			continue
		}
		field := fmt.Sprintf("spec.networks[%d]", i)
		return unsupported(field, fmt.Sprintf("the additional network %s %q is", network.Type, network.Name), "keep only the network of type Main")
	}
	return nil
}

// checkMainNetwork refuses a reserved MAC address, which only additional
// networks would honor.
func checkMainNetwork(spec *v1alpha2.VirtualMachineSpec) error {
	for i, network := range spec.Networks {
		if network.Type == v1alpha2.NetworkMain && network.VirtualMachineMACAddressName != "" {
			field := fmt.Sprintf("spec.networks[%d].virtualMachineMACAddressName", i)
			return unsupported(field, "a reserved MAC address is", "remove the field")
		}
	}
	return nil
}

func checkUSB(spec *v1alpha2.VirtualMachineSpec) error {
	if len(spec.USBDevices) == 0 {
		return nil
	}
	return unsupported("spec.usbDevices", "passing USB devices through is", "remove the field")
}

// maxUserData is how many bytes of first-boot data KubeVirt takes in a machine
// itself. The API counts characters.
const maxUserData = 2048

func checkUserData(provisioning *v1alpha2.Provisioning) error {
	if provisioning == nil || len(provisioning.UserData) <= maxUserData {
		return nil
	}
	problem := fmt.Sprintf("the document has %d bytes, more than %d", len(provisioning.UserData), maxUserData)
	return invalid("spec.provisioning.userData", problem, "put it into a Secret and use userDataRef")
}

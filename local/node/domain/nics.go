package domain

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"

	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/qemu"
)

// nicModels: KubeVirt's models as QEMU's devices.
var nicModels = map[string]string{
	"": "virtio-net-pci", virtv1.VirtIO: "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e", "rtl8139": "rtl8139",
}

const (
	usualAddress = "10.0.2.15"
	sshPort      = 22
)

// Interfaces are the network interfaces of an instance: those listed, or the one that KubeVirt adds.
func Interfaces(spec *virtv1.VirtualMachineInstanceSpec) []virtv1.Interface {
	d := &spec.Domain.Devices
	if len(d.Interfaces) == 0 && unlessFalse(d.AutoattachPodInterface) {
		return []virtv1.Interface{{Name: "default"}}
	}
	return d.Interfaces
}

func nics(in Input) ([]qemu.NIC, error) {
	list := Interfaces(&in.VMI.Spec)
	if len(list) > 1 {
		return nil, fmt.Errorf("%w: %d interfaces, but there is one pod network", ErrInvalid, len(list))
	}
	var out []qemu.NIC
	for _, i := range list {
		mac, err := MAC(in.VMI, i)
		if err != nil {
			return nil, err
		}
		network, err := userNet(in)
		if err != nil {
			return nil, err
		}
		nic := qemu.NIC{Name: i.Name, Model: nicModels[i.Model], MAC: mac, Net: network}
		if i.BootOrder != nil {
			nic.BootIndex = int(*i.BootOrder)
		}
		out = append(out, nic)
	}
	return out, nil
}

// MAC is the interface's hardware address: the one asked for, or one that the instance's name always gives.
func MAC(vmi *virtv1.VirtualMachineInstance, i virtv1.Interface) (string, error) {
	if i.MacAddress != "" {
		mac, err := net.ParseMAC(i.MacAddress)
		if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return "", fmt.Errorf("%w: interface %q: %q is no address of one network card", ErrInvalid, i.Name, i.MacAddress)
		}
		return mac.String(), nil
	}
	sum := sha256.Sum256([]byte(vmi.Namespace + "/" + vmi.Name + "/" + i.Name))
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", sum[0], sum[1], sum[2]), nil
}

// Address is the guest's IP address.
func Address(wanted string) string {
	if wanted == "" {
		return usualAddress
	}
	return wanted
}

// userNet is the /24 around the guest's address. Gateway and name server take addresses of it that the guest does not have.
func userNet(in Input) (qemu.UserNet, error) {
	guest, err := netip.ParseAddr(Address(in.Address))
	if err != nil || !guest.Is4() {
		return qemu.UserNet{}, fmt.Errorf("%w: %q is no IPv4 address", ErrInvalid, in.Address)
	}
	prefix := netip.PrefixFrom(guest, 24).Masked()
	last := guest.As4()[3]
	if last == 0 || last == 255 {
		return qemu.UserNet{}, fmt.Errorf("%w: %s is the network's or the broadcast address of %s", ErrInvalid, guest, prefix)
	}
	hosts := freeHosts(prefix, guest)
	out := qemu.UserNet{
		Subnet: prefix.String(), Gateway: hosts[0], DNS: hosts[1], Guest: guest.String(), Hostname: Hostname(in.VMI),
	}
	if in.SSHPort > 0 {
		out.Forwards = []qemu.Forward{{Host: in.SSHPort, Guest: sshPort}}
	}
	return out, nil
}

// freeHosts are the first two addresses of a network other than the guest's.
func freeHosts(prefix netip.Prefix, guest netip.Addr) []string {
	var out []string
	for host := prefix.Addr().Next(); len(out) < 2; host = host.Next() {
		if host != guest {
			out = append(out, host.String())
		}
	}
	return out
}

// Hostname is the guest's name.
func Hostname(vmi *virtv1.VirtualMachineInstance) string {
	if vmi.Spec.Hostname != "" {
		return vmi.Spec.Hostname
	}
	return vmi.Name
}

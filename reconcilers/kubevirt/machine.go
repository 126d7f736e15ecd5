package kubevirt

import (
	"errors"
	"maps"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Metadata that the template carries beside the user's own.
const (
	// NameLabel is on every pod of a machine; its value is the machine's name.
	NameLabel = "vm.kubevirt.internal.virtualization.deckhouse.io/name"
	// SkipPodSecurityLabel exempts the launcher pod, which needs devices.
	SkipPodSecurityLabel = "security.deckhouse.io/skip-pss-check"
	// AddressAnnotation asks the network for a stable address.
	AddressAnnotation = "cni.cilium.io/ipAddress"
)

const (
	defaultGracePeriodSeconds = int64(60)
	mainNetworkName           = "default"
)

// Input is everything that a KubeVirt virtual machine is made of.
type Input struct {
	// Machine is the virtual machine; only its metadata and spec are read.
	Machine *v1alpha2.VirtualMachine
	// Class is the machine's class; its status is read for discovered features.
	Class *v1alpha2.VirtualMachineClass
	// Devices are the resolved block devices in the order of the spec.
	Devices []Device
	// IPAddress is the machine's address in the main network.
	IPAddress string
	// EndOnReset ends the instance when the guest resets itself, so that it
	// starts again with the newest configuration. KubeVirt needs the feature
	// gate RebootPolicy for it; without it the guest resets in place.
	EndOnReset bool
}

// VirtualMachine builds the KubeVirt object. It joins one FieldError for each
// field that stands in the way.
func VirtualMachine(in Input) (*kubevirtv1.VirtualMachine, error) {
	spec := &in.Machine.Spec
	if err := errors.Join(CheckSupported(spec), checkDevices(in.Devices)); err != nil {
		return nil, err
	}
	cpu, err := processor(spec, in.Class)
	if err != nil {
		return nil, err
	}
	resources, err := sizes(spec)
	if err != nil {
		return nil, err
	}
	template := &kubevirtv1.VirtualMachineInstanceTemplateSpec{
		ObjectMeta: templateMeta(in),
		Spec:       instanceSpec(in, cpu, resources),
	}
	return &kubevirtv1.VirtualMachine{
		TypeMeta:   metav1.TypeMeta{APIVersion: kubevirtv1.GroupVersion.String(), Kind: "VirtualMachine"},
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Machine.Namespace, Name: in.Machine.Name},
		Spec: kubevirtv1.VirtualMachineSpec{
			RunStrategy: ptr.To(kubevirtv1.RunStrategyManual),
			Template:    template,
		},
	}, nil
}

func instanceSpec(in Input, cpu *kubevirtv1.CPU, resources kubevirtv1.ResourceRequirements) kubevirtv1.VirtualMachineInstanceSpec {
	spec := &in.Machine.Spec
	disks, volumes := blockDevices(spec, in.Devices)
	provisioningDisks, provisioningVolumes := provisioning(spec)
	instance := kubevirtv1.VirtualMachineInstanceSpec{
		Domain: kubevirtv1.DomainSpec{
			CPU:       cpu,
			Resources: resources,
			Memory:    &kubevirtv1.Memory{Guest: guestMemory(spec)},
			Firmware:  &kubevirtv1.Firmware{Bootloader: bootloader(spec.Bootloader)},
			Devices: kubevirtv1.Devices{
				Disks:      append(disks, provisioningDisks...),
				Interfaces: []kubevirtv1.Interface{mainInterface(spec)},
				Inputs:     []kubevirtv1.Input{{Name: "default-0", Type: kubevirtv1.InputTypeTablet, Bus: kubevirtv1.InputBusUSB}},
				Rng:        &kubevirtv1.Rng{},
			},
		},
		Volumes:                       append(volumes, provisioningVolumes...),
		Networks:                      []kubevirtv1.Network{*kubevirtv1.DefaultPodNetwork()},
		TerminationGracePeriodSeconds: ptr.To(ptr.Deref(spec.TerminationGracePeriodSeconds, defaultGracePeriodSeconds)),
		PriorityClassName:             spec.PriorityClassName,
		TopologySpreadConstraints:     spec.TopologySpreadConstraints,
		NodeSelector:                  nodeSelector(spec, in.Class),
		Tolerations:                   tolerations(spec, in.Class),
		Affinity:                      affinity(spec, in.Class),
	}
	if in.EndOnReset {
		instance.Domain.RebootPolicy = ptr.To(kubevirtv1.RebootPolicyTerminate)
	}
	tune(&instance.Domain, spec.OSType)
	return instance
}

func guestMemory(spec *v1alpha2.VirtualMachineSpec) *resource.Quantity {
	return ptr.To(spec.Memory.Size.DeepCopy())
}

func templateMeta(in Input) metav1.ObjectMeta {
	labels := Propagated(in.Machine.Labels)
	labels[NameLabel] = in.Machine.Name
	labels[SkipPodSecurityLabel] = "true"
	annotations := Propagated(in.Machine.Annotations)
	annotations[kubevirtv1.AllowPodBridgeNetworkLiveMigrationAnnotation] = ""
	if in.IPAddress != "" {
		annotations[AddressAnnotation] = in.IPAddress
	}
	return metav1.ObjectMeta{Labels: labels, Annotations: annotations}
}

// mainInterface joins the pod network by a bridge, so that the guest itself has
// the machine's address.
func mainInterface(spec *v1alpha2.VirtualMachineSpec) kubevirtv1.Interface {
	nic := *kubevirtv1.DefaultBridgeNetworkInterface()
	nic.Name = mainNetworkName
	nic.Model = kubevirtv1.VirtIO
	if !paravirtualized(spec) {
		nic.Model = "e1000"
	}
	return nic
}

func paravirtualized(spec *v1alpha2.VirtualMachineSpec) bool {
	return ptr.Deref(spec.EnableParavirtualization, true)
}

// Propagated are the labels or annotations of a machine that its KubeVirt
// objects and pods carry too: the user's own, without bookkeeping.
func Propagated(metadata map[string]string) map[string]string {
	own := maps.Clone(metadata)
	maps.DeleteFunc(own, func(key, _ string) bool { return internalKey(key) })
	if own == nil {
		own = map[string]string{}
	}
	return own
}

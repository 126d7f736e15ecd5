package kubevirt

import (
	corev1 "k8s.io/api/core/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const (
	cloudInitVolume = "cloudinit"
	sysprepVolume   = "sysprep"
)

// provisioning is the disk with the first-boot data, if there is any. It comes
// after the block devices and has no boot order, so no guest boots from it.
func provisioning(spec *v1alpha2.VirtualMachineSpec) ([]kubevirtv1.Disk, []kubevirtv1.Volume) {
	p := spec.Provisioning
	switch {
	case p == nil:
		return nil, nil
	case p.Type == v1alpha2.ProvisioningTypeSysprepRef:
		source := kubevirtv1.VolumeSource{Sysprep: &kubevirtv1.SysprepSource{Secret: &corev1.LocalObjectReference{Name: p.SysprepRef.Name}}}
		return provisioningDisk(sysprepVolume, diskDevice(spec, true), source)
	case p.Type == v1alpha2.ProvisioningTypeUserDataRef:
		source := kubevirtv1.CloudInitNoCloudSource{UserDataSecretRef: &corev1.LocalObjectReference{Name: p.UserDataRef.Name}}
		return provisioningDisk(cloudInitVolume, diskDevice(spec, false), kubevirtv1.VolumeSource{CloudInitNoCloud: &source})
	default:
		source := kubevirtv1.CloudInitNoCloudSource{UserData: p.UserData}
		return provisioningDisk(cloudInitVolume, diskDevice(spec, false), kubevirtv1.VolumeSource{CloudInitNoCloud: &source})
	}
}

func provisioningDisk(name string, device kubevirtv1.DiskDevice, source kubevirtv1.VolumeSource) ([]kubevirtv1.Disk, []kubevirtv1.Volume) {
	return []kubevirtv1.Disk{{Name: name, DiskDevice: device}}, []kubevirtv1.Volume{{Name: name, VolumeSource: source}}
}

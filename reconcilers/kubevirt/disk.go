package kubevirt

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Device is a block device of a machine with everything looked up.
type Device struct {
	// Ref is the entry of the spec.
	Ref v1alpha2.BlockDeviceSpecRef
	// UID of the disk or image; the guest sees its MD5 sum as serial number.
	UID types.UID
	// ClaimName is the volume claim of a disk, or of an image kept in a volume.
	ClaimName string
	// Image is the registry reference of an image without a scheme.
	Image string
	// PullSecret is the Secret by which nodes pull the image; may be empty.
	PullSecret string
	// CDROM tells that the image is an ISO.
	CDROM bool
}

// VolumeName is the name of a block device's volume and disk: vd-, vi- or cvi-
// and the object's name.
func VolumeName(ref v1alpha2.BlockDeviceSpecRef) string {
	prefix := map[v1alpha2.BlockDeviceKind]string{
		v1alpha2.DiskDevice: "vd-", v1alpha2.ImageDevice: "vi-", v1alpha2.ClusterImageDevice: "cvi-",
	}[ref.Kind]
	return prefix + ref.Name
}

// Serial is the serial number by which a guest finds a block device.
func Serial(uid types.UID) string {
	sum := md5.Sum([]byte(uid))
	return hex.EncodeToString(sum[:])
}

func checkDevices(devices []Device) error {
	var errs []error
	for i, d := range devices {
		field := fmt.Sprintf("spec.blockDeviceRefs[%d]", i)
		if problems := validation.IsDNS1123Label(VolumeName(d.Ref)); len(problems) > 0 {
			errs = append(errs, invalid(field+".name", fmt.Sprintf("%s %q cannot be a volume's name", d.Ref.Kind, d.Ref.Name), "rename it: "+problems[0]))
		}
		if d.ClaimName == "" && d.Image == "" {
			errs = append(errs, invalid(field, fmt.Sprintf("%s %q has no content yet", d.Ref.Kind, d.Ref.Name), "wait until it is Ready"))
		}
	}
	return errors.Join(errs...)
}

func blockDevices(spec *v1alpha2.VirtualMachineSpec, devices []Device) ([]kubevirtv1.Disk, []kubevirtv1.Volume) {
	disks := make([]kubevirtv1.Disk, 0, len(devices))
	volumes := make([]kubevirtv1.Volume, 0, len(devices))
	for i, d := range devices {
		name := VolumeName(d.Ref)
		disks = append(disks, kubevirtv1.Disk{
			Name:        name,
			DiskDevice:  diskDevice(spec, d.CDROM),
			BootOrder:   ptr.To(uint(i) + 1),
			Serial:      Serial(d.UID),
			ErrorPolicy: ptr.To(kubevirtv1.DiskErrorPolicyReport),
		})
		volumes = append(volumes, kubevirtv1.Volume{Name: name, VolumeSource: volumeSource(d)})
	}
	return disks, volumes
}

func diskDevice(spec *v1alpha2.VirtualMachineSpec, cdrom bool) kubevirtv1.DiskDevice {
	if cdrom {
		return kubevirtv1.DiskDevice{CDRom: &kubevirtv1.CDRomTarget{Bus: kubevirtv1.DiskBusSATA, ReadOnly: ptr.To(true)}}
	}
	bus := kubevirtv1.DiskBusSCSI
	if !paravirtualized(spec) {
		bus = kubevirtv1.DiskBusSATA
	}
	return kubevirtv1.DiskDevice{Disk: &kubevirtv1.DiskTarget{Bus: bus}}
}

// volumeSource keeps images unharmed: a machine writes to a layer of its own
// that is gone when it stops.
func volumeSource(d Device) kubevirtv1.VolumeSource {
	claim := corev1.PersistentVolumeClaimVolumeSource{ClaimName: d.ClaimName}
	switch {
	case d.Ref.Kind == v1alpha2.DiskDevice:
		return kubevirtv1.VolumeSource{PersistentVolumeClaim: &kubevirtv1.PersistentVolumeClaimVolumeSource{PersistentVolumeClaimVolumeSource: claim}}
	case d.ClaimName != "":
		claim.ReadOnly = true
		return kubevirtv1.VolumeSource{Ephemeral: &kubevirtv1.EphemeralVolumeSource{PersistentVolumeClaim: &claim}}
	default:
		return kubevirtv1.VolumeSource{ContainerDisk: &kubevirtv1.ContainerDiskSource{Image: d.Image, ImagePullSecret: d.PullSecret}}
	}
}

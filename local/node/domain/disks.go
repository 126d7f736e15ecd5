package domain

import (
	"fmt"
	"slices"

	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/qemu"
)

// defaultBus is KubeVirt's for a disk that names none.
const defaultBus = virtv1.DiskBusSATA

// Disks are the disks of an instance in their order: those listed, then one for each volume that no disk names.
func Disks(spec *virtv1.VirtualMachineInstanceSpec) []virtv1.Disk {
	out := slices.Clone(spec.Domain.Devices.Disks)
	for _, v := range spec.Volumes {
		if !slices.ContainsFunc(out, func(d virtv1.Disk) bool { return d.Name == v.Name }) {
			out = append(out, virtv1.Disk{Name: v.Name})
		}
	}
	return out
}

func disks(in Input) ([]qemu.Disk, error) {
	var out []qemu.Disk
	all := Disks(&in.VMI.Spec)
	ordered := slices.ContainsFunc(all, func(d virtv1.Disk) bool { return d.BootOrder != nil })
	for i, d := range all {
		file, ok := in.Files[d.Name]
		if !ok {
			return nil, fmt.Errorf("%w: disk %q has no volume of that name", ErrInvalid, d.Name)
		}
		q := disk(d, file)
		if !ordered {
			q.BootIndex = i + 1
		}
		out = append(out, q)
	}
	return out, nil
}

func disk(d virtv1.Disk, file File) qemu.Disk {
	out := qemu.Disk{
		Name: d.Name, File: file.Path, Format: file.Format, ReadOnly: file.ReadOnly,
		Bus: Bus(d), CDROM: d.CDRom != nil, Serial: d.Serial, Shared: isTrue(d.Shareable), Cache: string(d.Cache),
	}
	if d.Disk != nil && d.Disk.ReadOnly {
		out.ReadOnly = true
	}
	if d.BootOrder != nil {
		out.BootIndex = int(*d.BootOrder)
	}
	if d.ErrorPolicy != nil {
		out.ErrorPolicy = string(*d.ErrorPolicy)
	}
	if d.BlockSize != nil && d.BlockSize.Custom != nil {
		out.LogicalBlock, out.PhysicalBlock = int(d.BlockSize.Custom.Logical), int(d.BlockSize.Custom.Physical)
	}
	return out
}

// Bus is what a disk is attached to.
func Bus(d virtv1.Disk) qemu.Bus {
	bus := defaultBus
	switch {
	case d.Disk != nil && d.Disk.Bus != "":
		bus = d.Disk.Bus
	case d.CDRom != nil && d.CDRom.Bus != "":
		bus = d.CDRom.Bus
	}
	return qemu.Bus(bus)
}

// Targets names each disk as a guest usually does: vda, sda, sdb … SATA and SCSI share their letters.
func Targets(spec *virtv1.VirtualMachineInstanceSpec) map[string]string {
	out := map[string]string{}
	letters := map[string]byte{}
	for _, d := range Disks(spec) {
		prefix := "sd"
		if Bus(d) == qemu.VirtIO {
			prefix = "vd"
		}
		out[d.Name] = prefix + string('a'+rune(letters[prefix]))
		letters[prefix]++
	}
	return out
}

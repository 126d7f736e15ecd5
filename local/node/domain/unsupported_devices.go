package domain

import (
	"slices"

	virtv1 "kubevirt.io/api/core/v1"
)

// dropDevices: hotplug slots cost nothing when nothing is plugged; the console is always logged; sockets of the virtio
// kind are not there, which is what false asks for.
func dropDevices(d *virtv1.Devices) {
	d.DisableHotplug, d.LogSerialConsole, d.Rng = false, nil, nil
	d.AutoattachPodInterface, d.AutoattachGraphicsDevice, d.AutoattachSerialConsole = nil, nil, nil
	d.AutoattachMemBalloon, d.AutoattachInputDevice = nil, nil
	for _, wish := range []**bool{&d.UseVirtioTransitional, &d.AutoattachVSOCK, &d.BlockMultiQueue, &d.NetworkInterfaceMultiQueue} {
		if !isTrue(*wish) {
			*wish = nil
		}
	}
	for i := range d.Disks {
		dropDisk(&d.Disks[i])
	}
	for i := range d.Interfaces {
		dropInterface(&d.Interfaces[i])
	}
	for i := range d.Inputs {
		if in := d.Inputs[i]; in.Type == virtv1.InputTypeTablet && slices.Contains([]virtv1.InputBus{"", virtv1.InputBusUSB, virtv1.InputBusVirtio}, in.Bus) {
			d.Inputs[i] = virtv1.Input{}
		}
	}
}

// diskBuses and cdromBuses are the buses that each kind of drive has here.
var (
	diskBuses  = []virtv1.DiskBus{"", virtv1.DiskBusVirtio, virtv1.DiskBusSCSI, virtv1.DiskBusSATA}
	cdromBuses = []virtv1.DiskBus{"", virtv1.DiskBusSCSI, virtv1.DiskBusSATA}
)

func dropDisk(d *virtv1.Disk) {
	d.Name, d.BootOrder, d.Serial, d.Shareable = "", nil, "", nil
	if t := d.Disk; t != nil && slices.Contains(diskBuses, t.Bus) && t.PciAddress == "" {
		d.Disk = nil
	}
	if t := d.CDRom; t != nil && slices.Contains(cdromBuses, t.Bus) && (t.ReadOnly == nil || *t.ReadOnly) && t.Tray != virtv1.TrayStateOpen {
		d.CDRom = nil
	}
	if !isTrue(d.DedicatedIOThread) {
		d.DedicatedIOThread = nil
	}
	if slices.Contains([]virtv1.DriverCache{virtv1.CacheNone, virtv1.CacheWriteThrough, virtv1.CacheWriteBack}, d.Cache) {
		d.Cache = ""
	}
	if d.IO == virtv1.IOThreads {
		d.IO = ""
	}
	if b := d.BlockSize; b != nil && b.Custom != nil && b.MatchVolume == nil && b.Custom.DiscardGranularity == nil {
		d.BlockSize = nil
	}
	if p := d.ErrorPolicy; p != nil && slices.Contains(errorPolicies, *p) {
		d.ErrorPolicy = nil
	}
}

var errorPolicies = []virtv1.DiskErrorPolicy{
	virtv1.DiskErrorPolicyStop, virtv1.DiskErrorPolicyIgnore, virtv1.DiskErrorPolicyReport, virtv1.DiskErrorPolicyEnospace,
}

// dropInterface: bridge and masquerade differ in how a cluster's network reaches the guest, and here both end in a
// network of the guest's own.
func dropInterface(i *virtv1.Interface) {
	if _, ok := nicModels[i.Model]; ok {
		i.Model = ""
	}
	i.Name, i.MacAddress, i.BootOrder = "", "", nil
	i.Bridge, i.Masquerade = nil, nil
	if i.State == virtv1.InterfaceStateLinkUp {
		i.State = ""
	}
}

func dropNetwork(n *virtv1.Network) {
	n.Name = ""
	if n.Pod != nil && n.Pod.VMNetworkCIDR == "" && n.Pod.VMIPv6NetworkCIDR == "" {
		n.Pod = nil
	}
}

func dropVolume(v *virtv1.Volume) {
	v.Name = ""
	if p := v.PersistentVolumeClaim; p != nil && !p.Hotpluggable {
		v.PersistentVolumeClaim = nil
	}
	if p := v.DataVolume; p != nil && !p.Hotpluggable {
		v.DataVolume = nil
	}
	if c := v.ContainerDisk; c != nil && c.Path == "" {
		v.ContainerDisk = nil
	}
	v.CloudInitNoCloud, v.Ephemeral, v.EmptyDisk = nil, nil, nil
}

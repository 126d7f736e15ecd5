package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

func (a *arguments) disk(position int, d Disk) {
	a.add("-blockdev", blockdev(d))
	a.add("-device", diskDevice(position, d))
}

func blockdev(d Disk) string {
	file := "driver=" + d.Format + ",node-name=" + Node(d.Name) + ",file.driver=file,file.filename=" + escape(d.File)
	direct := onOff(d.Cache == "none")
	return file + ",read-only=" + onOff(d.ReadOnly || d.CDROM) + ",discard=unmap" +
		",cache.direct=" + direct + ",file.cache.direct=" + direct + ",file.locking=auto"
}

// diskDevice is the drive as the guest sees it. The position is that on its bus.
func diskDevice(position int, d Disk) string {
	options := []string{drive(d), "id=" + DeviceID(d.Name), "drive=" + Node(d.Name)}
	switch d.Bus {
	case SCSI:
		options = append(options, "bus=scsi.0", "channel=0", fmt.Sprintf("scsi-id=%d", position), "lun=0")
	case SATA:
		options = append(options, fmt.Sprintf("bus=sata.%d", position))
	}
	options = append(options, policies(d)...)
	if d.BootIndex > 0 {
		options = append(options, "bootindex="+strconv.Itoa(d.BootIndex))
	}
	if d.Serial != "" {
		options = append(options, "serial="+escape(d.Serial))
	}
	return strings.Join(options, ",")
}

// DeviceID is the id of a disk's device, as events name it.
func DeviceID(disk string) string { return "drive-" + disk }

func drive(d Disk) string {
	switch {
	case d.Bus == SCSI && d.CDROM:
		return "scsi-cd"
	case d.Bus == SCSI:
		return "scsi-hd"
	case d.Bus == SATA && d.CDROM:
		return "ide-cd"
	case d.Bus == SATA:
		return "ide-hd"
	}
	return "virtio-blk-pci"
}

func policies(d Disk) []string {
	var out []string
	if !d.CDROM {
		onWrite, onRead := errorPolicy(d.ErrorPolicy)
		out = append(out, "write-cache="+onOff(d.Cache != "writethrough"), "werror="+onWrite, "rerror="+onRead)
	}
	if d.Shared {
		out = append(out, "share-rw=on")
	}
	if d.LogicalBlock > 0 {
		out = append(out, fmt.Sprintf("logical_block_size=%d,physical_block_size=%d", d.LogicalBlock, d.PhysicalBlock))
	}
	return out
}

// errorPolicy gives the actions for write and read errors; QEMU has no enospace for reads.
func errorPolicy(policy string) (onWrite, onRead string) {
	switch policy {
	case "stop", "ignore":
		return policy, policy
	case "enospace":
		return "enospc", "report"
	}
	return "report", "report"
}

func (a *arguments) nic(index int, n NIC) {
	id := "net" + strconv.Itoa(index)
	a.add("-netdev", netdev(id, n.Net))
	device := n.Model + ",id=nic" + strconv.Itoa(index) + ",netdev=" + id + ",mac=" + n.MAC
	if n.BootIndex > 0 {
		device += ",bootindex=" + strconv.Itoa(n.BootIndex)
	} else {
		device += ",romfile=" // nothing to boot from: spare the guest the option ROM
	}
	a.add("-device", device)
}

func netdev(id string, n UserNet) string {
	out := fmt.Sprintf("user,id=%s,ipv6=off,net=%s,host=%s,dns=%s,dhcpstart=%s", id, n.Subnet, n.Gateway, n.DNS, n.Guest)
	if n.Hostname != "" {
		out += ",hostname=" + escape(n.Hostname)
	}
	for _, f := range n.Forwards {
		out += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-%s:%d", f.Host, n.Guest, f.Guest)
	}
	return out
}

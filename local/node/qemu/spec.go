package qemu

import (
	"crypto/sha256"
	"encoding/hex"
)

// Spec describes one guest completely: equal specs give equal command lines.
type Spec struct {
	Name        string
	UUID        string
	Accelerator string // tcg or kvm
	Machine     Machine
	CPU         CPU
	MemoryMiB   int64
	Firmware    Firmware
	Disks       []Disk
	NICs        []NIC
	Tablets     []Bus // buses of the absolute pointers
	RNG         bool
	Balloon     bool
	Serial      bool
	Graphics    bool
	// EndOnReset ends the process when the guest resets itself; else the guest boots again in place.
	EndOnReset bool
	Sockets    Sockets
	ConsoleLog string
}

// Machine is the board.
type Machine struct {
	Type   string // q35, pc or a versioned name of either
	SMM    *bool
	HPET   *bool
	NoACPI bool
}

// CPU is the processor and its topology.
type CPU struct {
	Model    string
	Features []Feature
	Sockets  uint32
	Cores    uint32
	Threads  uint32
}

// Feature switches one CPU feature on or off.
type Feature struct {
	Name string
	On   bool
}

// Firmware is the boot firmware. The zero value is BIOS.
type Firmware struct {
	Code   string // UEFI code image; empty means BIOS
	Vars   string // this guest's own UEFI variables
	Serial string // serial number of the system
}

// Bus names what a device is attached to.
type Bus string

// The buses of disks and input devices.
const (
	VirtIO Bus = "virtio"
	SCSI   Bus = "scsi"
	SATA   Bus = "sata"
	USB    Bus = "usb"
)

// Disk is a drive with its file.
type Disk struct {
	Name        string // becomes the node name of the block layer, see Node
	File        string
	Format      string // qcow2 or raw
	Bus         Bus
	CDROM       bool
	ReadOnly    bool
	Shared      bool
	BootIndex   int // 0: the firmware does not try it
	Serial      string
	Cache       string // none, writethrough, writeback; empty means writeback
	ErrorPolicy string // report, stop, ignore, enospace; empty means report
	LogicalBlock,
	PhysicalBlock int
}

// NIC is a network card on a user-mode network of its own.
type NIC struct {
	Name      string
	Model     string // a QEMU device name, e.g. virtio-net-pci
	MAC       string
	BootIndex int
	Net       UserNet
}

// UserNet is a user-mode network whose DHCP server has exactly one address to give.
type UserNet struct {
	Subnet   string // CIDR
	Gateway  string
	DNS      string
	Guest    string
	Hostname string
	Forwards []Forward
}

// Forward leads a loopback TCP port of the host to a port of the guest.
type Forward struct{ Host, Guest int }

// Sockets are the Unix sockets that QEMU listens on.
type Sockets struct {
	Monitor string
	Serial  string
	Agent   string
	VNC     string
}

// Node is the name of a disk in QEMU's block layer, for block_resize and the like. A long name is cut, and told from
// others by a hash: QEMU takes 31 bytes.
func Node(disk string) string {
	const limit, hashed = 31, 12
	name := "disk-" + disk
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(disk))
	return name[:limit-hashed-1] + "-" + hex.EncodeToString(sum[:hashed/2])
}

// AgentChannel is the id of the guest agent's character device, for query-chardev.
const AgentChannel = "agent"

package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// Args is the command line for a guest, without the program's name.
func Args(s Spec) []string {
	var a arguments
	a.add("-name", "guest="+escape(s.Name)+",process="+processName(s.Name))
	a.add("-uuid", s.UUID)
	a.add("-nodefaults", "-no-user-config", "-display", "none")
	a.add("-machine", machine(s), "-cpu", cpu(s.CPU), "-smp", smp(s.CPU), "-m", strconv.FormatInt(s.MemoryMiB, 10)+"M")
	a.add("-rtc", "base=utc", "-boot", "strict=on")
	a.add("-action", "panic=shutdown,reboot="+rebootAction(s.EndOnReset))
	a.firmware(s.Firmware)
	a.monitors(s.Sockets)
	a.controllers(s)
	position := map[Bus]int{}
	for _, d := range s.Disks {
		a.disk(position[d.Bus], d)
		position[d.Bus]++
	}
	for i, n := range s.NICs {
		a.nic(i, n)
	}
	a.peripherals(s)
	return a.list
}

type arguments struct{ list []string }

func (a *arguments) add(args ...string) { a.list = append(a.list, args...) }

// processName is what ps shows; the kernel keeps 15 bytes.
func processName(name string) string {
	const limit = 15
	name = "vm-" + escape(name)
	return name[:min(len(name), limit)]
}

// escape doubles the commas of a value in an option list.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func rebootAction(end bool) string {
	if end {
		return "shutdown"
	}
	return "reset"
}

func machine(s Spec) string {
	m := s.Machine.Type + ",accel=" + s.Accelerator + ",usb=off,vmport=off"
	if s.Machine.SMM != nil {
		m += ",smm=" + onOff(*s.Machine.SMM)
	}
	if s.Machine.HPET != nil {
		m += ",hpet=" + onOff(*s.Machine.HPET)
	}
	if s.Machine.NoACPI {
		m += ",acpi=off"
	}
	return m
}

func cpu(c CPU) string {
	out := c.Model
	for _, f := range c.Features {
		out += "," + f.Name + "=" + onOff(f.On)
	}
	return out
}

func smp(c CPU) string {
	return fmt.Sprintf("%d,sockets=%d,cores=%d,threads=%d", c.Sockets*c.Cores*c.Threads, c.Sockets, c.Cores, c.Threads)
}

func (a *arguments) firmware(f Firmware) {
	if f.Code != "" {
		a.add("-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escape(f.Code))
		a.add("-drive", "if=pflash,unit=1,format=raw,file="+escape(f.Vars))
	}
	if f.Serial != "" {
		a.add("-smbios", "type=1,serial="+escape(f.Serial))
	}
}

// monitors are two: a socket for whoever drives the guest, and the standard streams, where the log of events is kept
// whether or not somebody is connected (see Start).
func (a *arguments) monitors(s Sockets) {
	a.add("-chardev", "socket,id=monitor,server=on,wait=off,path="+escape(s.Monitor), "-mon", "chardev=monitor,mode=control")
	a.add("-chardev", "stdio,id=events,signal=off", "-mon", "chardev=events,mode=control")
}

func (a *arguments) controllers(s Spec) {
	if uses(s.Disks, SCSI) {
		a.add("-device", "virtio-scsi-pci,id=scsi")
	}
	if uses(s.Disks, SATA) {
		a.add("-device", "ich9-ahci,id=sata")
	}
	a.add("-device", "virtio-serial-pci,id=channels")
	for _, bus := range s.Tablets {
		if bus == USB {
			a.add("-device", "qemu-xhci,id=usb")
			return
		}
	}
}

func uses(disks []Disk, bus Bus) bool {
	for _, d := range disks {
		if d.Bus == bus {
			return true
		}
	}
	return false
}

func (a *arguments) peripherals(s Spec) {
	a.add("-chardev", "socket,id="+AgentChannel+",server=on,wait=off,path="+escape(s.Sockets.Agent))
	a.add("-device", "virtserialport,bus=channels.0,chardev="+AgentChannel+",name=org.qemu.guest_agent.0")
	if s.Serial {
		a.add("-chardev", "socket,id=serial,server=on,wait=off,path="+escape(s.Sockets.Serial)+
			",logappend=on,logfile="+escape(s.ConsoleLog))
		a.add("-serial", "chardev:serial")
	}
	if s.Graphics {
		a.add("-device", "VGA", "-vnc", "unix:"+escape(s.Sockets.VNC))
	}
	for i, bus := range s.Tablets {
		a.add("-device", tablet(bus)+",id=tablet"+strconv.Itoa(i))
	}
	if s.RNG {
		a.add("-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random")
	}
	if s.Balloon {
		a.add("-device", "virtio-balloon-pci")
	}
}

func tablet(bus Bus) string {
	if bus == USB {
		return "usb-tablet,bus=usb.0"
	}
	return "virtio-tablet-pci"
}

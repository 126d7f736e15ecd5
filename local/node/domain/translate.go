package domain

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/accel"
	"slipway.dev/slipway/local/node/qemu"
)

// File is where the content of a volume is.
type File struct {
	Path     string
	Format   string // qcow2 or raw
	ReadOnly bool
}

// Input is all that a translation depends on.
type Input struct {
	VMI         *virtv1.VirtualMachineInstance
	Files       map[string]File // by the volume's name
	Address     string          // IPv4 address of the guest; empty means the network's usual one
	SSHPort     int             // loopback port that leads to the guest's port 22
	Accelerator string
	UEFICode    string
	UEFIVars    string
	Sockets     qemu.Sockets
	ConsoleLog  string
}

// ErrInvalid says that an instance's description contradicts itself or lacks something.
var ErrInvalid = errors.New("the instance's description is not valid")

var machineType = regexp.MustCompile(`^(q35|pc)?$|^pc-(q35|i440fx)-[0-9.]+$`)

// Translate describes the guest. The instance must have passed Unsupported.
func Translate(in Input) (qemu.Spec, error) {
	spec := &in.VMI.Spec
	memory, err := memoryMiB(&spec.Domain)
	if err != nil {
		return qemu.Spec{}, err
	}
	disks, err := disks(in)
	if err != nil {
		return qemu.Spec{}, err
	}
	nics, err := nics(in)
	if err != nil {
		return qemu.Spec{}, err
	}
	devices := &spec.Domain.Devices
	return qemu.Spec{
		Name:        in.VMI.Namespace + "/" + in.VMI.Name,
		UUID:        UUID(in.VMI),
		Accelerator: in.Accelerator,
		Machine:     machine(&spec.Domain),
		CPU:         cpu(&spec.Domain, in.Accelerator),
		MemoryMiB:   memory,
		Firmware:    firmware(in),
		Disks:       disks,
		NICs:        nics,
		Tablets:     tablets(devices),
		RNG:         devices.Rng != nil,
		Balloon:     unlessFalse(devices.AutoattachMemBalloon),
		Serial:      unlessFalse(devices.AutoattachSerialConsole),
		Graphics:    unlessFalse(devices.AutoattachGraphicsDevice),
		EndOnReset:  spec.Domain.RebootPolicy != nil && *spec.Domain.RebootPolicy == virtv1.RebootPolicyTerminate,
		Sockets:     in.Sockets,
		ConsoleLog:  in.ConsoleLog,
	}, nil
}

func unlessFalse(b *bool) bool { return b == nil || *b }

// UUID is the system's: the one asked for, or the object's own.
func UUID(vmi *virtv1.VirtualMachineInstance) string {
	if f := vmi.Spec.Domain.Firmware; f != nil && f.UUID != "" {
		return string(f.UUID)
	}
	return string(vmi.UID)
}

func machine(d *virtv1.DomainSpec) qemu.Machine {
	out := qemu.Machine{Type: MachineType(d)}
	if f := d.Features; f != nil {
		out.NoACPI = !unlessFalse(f.ACPI.Enabled)
		if f.SMM != nil {
			on := unlessFalse(f.SMM.Enabled)
			out.SMM = &on
		}
	}
	if d.Clock != nil && d.Clock.Timer != nil && d.Clock.Timer.HPET != nil {
		on := unlessFalse(d.Clock.Timer.HPET.Enabled)
		out.HPET = &on
	}
	return out
}

// MachineType is the board, q35 unless another is asked for.
func MachineType(d *virtv1.DomainSpec) string {
	if d.Machine == nil || d.Machine.Type == "" {
		return "q35"
	}
	return d.Machine.Type
}

// featurePolicies: whether a policy switches the feature on. Which features a host lacks is QEMU's to say.
var featurePolicies = map[string]bool{"": true, "force": true, "require": true, "optional": true, "disable": false, "forbid": false}

func cpu(d *virtv1.DomainSpec, accelerator string) qemu.CPU {
	topology := Topology(d)
	out := qemu.CPU{
		Model: "max", Sockets: topology.Sockets, Cores: topology.Cores, Threads: topology.Threads,
	}
	if accelerator == accel.KVM {
		out.Model = "host"
	}
	if d.CPU == nil {
		return out
	}
	if !slices.Contains([]string{"", virtv1.CPUModeHostModel, virtv1.CPUModeHostPassthrough}, d.CPU.Model) {
		out.Model = d.CPU.Model
	}
	for _, f := range d.CPU.Features {
		out.Features = append(out.Features, qemu.Feature{Name: f.Name, On: featurePolicies[f.Policy]})
	}
	return out
}

// Topology is the processor's: as described, or one socket for each core of the CPU limit or request.
func Topology(d *virtv1.DomainSpec) virtv1.CPUTopology {
	out := virtv1.CPUTopology{Sockets: 1, Cores: 1, Threads: 1}
	if c := d.CPU; c != nil && (c.Cores > 0 || c.Sockets > 0 || c.Threads > 0) {
		out.Sockets, out.Cores, out.Threads = max(c.Sockets, 1), max(c.Cores, 1), max(c.Threads, 1)
		return out
	}
	for _, quantity := range []*resource.Quantity{d.Resources.Limits.Cpu(), d.Resources.Requests.Cpu()} {
		if !quantity.IsZero() {
			out.Sockets = uint32(max(quantity.Value(), 1))
			return out
		}
	}
	return out
}

const mebibyte = 1 << 20

// Memory is the guest's memory: as described, or the request, or the limit.
func Memory(d *virtv1.DomainSpec) *resource.Quantity {
	if d.Memory != nil && d.Memory.Guest != nil {
		return d.Memory.Guest
	}
	if q := d.Resources.Requests.Memory(); !q.IsZero() {
		return q
	}
	return d.Resources.Limits.Memory()
}

func memoryMiB(d *virtv1.DomainSpec) (int64, error) {
	bytes := Memory(d).Value()
	if bytes < mebibyte {
		return 0, fmt.Errorf("%w: set domain.memory.guest or domain.resources.requests.memory to at least 1Mi", ErrInvalid)
	}
	return bytes / mebibyte, nil
}

func firmware(in Input) qemu.Firmware {
	var out qemu.Firmware
	f := in.VMI.Spec.Domain.Firmware
	if f == nil {
		return out
	}
	out.Serial = f.Serial
	if UsesUEFI(&in.VMI.Spec.Domain) {
		out.Code, out.Vars = in.UEFICode, in.UEFIVars
	}
	return out
}

// UsesUEFI says whether the guest boots by UEFI instead of BIOS.
func UsesUEFI(d *virtv1.DomainSpec) bool {
	return d.Firmware != nil && d.Firmware.Bootloader != nil && d.Firmware.Bootloader.EFI != nil
}

func tablets(d *virtv1.Devices) []qemu.Bus {
	var out []qemu.Bus
	for _, in := range d.Inputs {
		if in.Bus == virtv1.InputBusVirtio {
			out = append(out, qemu.VirtIO)
		} else {
			out = append(out, qemu.USB)
		}
	}
	if len(out) == 0 && isTrue(d.AutoattachInputDevice) {
		out = append(out, qemu.USB)
	}
	return out
}

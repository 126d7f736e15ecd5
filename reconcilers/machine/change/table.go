package change

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/equality"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Values that a spec has when it says nothing. They match the defaults of the
// API, so that a manifest that leaves them out and a stored object that has
// them filled in are the same machine.
const (
	defaultCoreFraction     = "100%"
	defaultGracePeriod      = int64(60)
	defaultParavirtualized  = true
	defaultNetworkID        = 1
	firstExtraNetworkID     = 2
	classPathPrefix         = "VirtualMachineClass:"
	blockDeviceRefsPath     = "blockDeviceRefs"
	provisioningPath        = "provisioning"
	defaultLiveMigration    = v1alpha2.LiveMigrationPreferSafe
	defaultRestartApproving = v1alpha2.RestartManual
)

type (
	spec      = v1alpha2.VirtualMachineSpec
	classSpec = v1alpha2.VirtualMachineClassSpec
)

// field is one row of the table: a path, what its change needs and how its
// value is read. A nil value means that the field is not there.
type field struct {
	path   string
	action Action
	value  func(*spec) any
}

// fields is the table for fields that are compared as a whole.
var fields = []field{
	{"virtualMachineClassName", Restart, func(s *spec) any { return text(s.VirtualMachineClassName) }},
	{"runPolicy", Live, func(s *spec) any { return cmp.Or(s.RunPolicy, v1alpha2.AlwaysOnUnlessStoppedManually) }},
	{"virtualMachineIPAddressName", Restart, func(s *spec) any { return text(s.VirtualMachineIPAddressName) }},
	{"cpu.cores", Restart, func(s *spec) any { return s.CPU.Cores }},
	{"cpu.coreFraction", Restart, func(s *spec) any { return cmp.Or(s.CPU.CoreFraction, defaultCoreFraction) }},
	{"memory.size", Restart, memorySize},
	{"networks", Restart, func(s *spec) any { return networks(s.Networks) }},
	{"bootloader", Restart, func(s *spec) any { return cmp.Or(s.Bootloader, v1alpha2.BIOS) }},
	{"osType", Restart, func(s *spec) any { return cmp.Or(s.OSType, v1alpha2.GenericOS) }},
	{"enableParavirtualization", Restart, func(s *spec) any { return deref(s.EnableParavirtualization, defaultParavirtualized) }},
	{"terminationGracePeriodSeconds", Restart, func(s *spec) any { return deref(s.TerminationGracePeriodSeconds, defaultGracePeriod) }},
	{"disruptions", None, disruptions},
	{"liveMigrationPolicy", Live, func(s *spec) any { return cmp.Or(s.LiveMigrationPolicy, defaultLiveMigration) }},
	{"nodeSelector", Restart, func(s *spec) any { return filled(s.NodeSelector, len(s.NodeSelector)) }},
	{"affinity", Restart, affinity},
	{"tolerations", Restart, func(s *spec) any { return filled(s.Tolerations, len(s.Tolerations)) }},
	{"topologySpreadConstraints", Restart, func(s *spec) any { return filled(s.TopologySpreadConstraints, len(s.TopologySpreadConstraints)) }},
	{"priorityClassName", Restart, func(s *spec) any { return text(s.PriorityClassName) }},
	{"usbDevices", Live, func(s *spec) any { return filled(s.USBDevices, len(s.USBDevices)) }},
}

// classFields is the table for a class whose spec changed under its machines.
// CPU cannot change, and sizing policies bind at admission only.
var classFields = []struct {
	path  string
	value func(*classSpec) any
}{
	{"spec.nodeSelector", classNodeSelector},
	{"spec.tolerations", func(s *classSpec) any { return filled(s.Tolerations, len(s.Tolerations)) }},
}

// Diff lists the differences between two specs of one machine in the order of
// the table; it is empty when they describe the same machine. Values that the
// API defaults are compared as if they were written out.
//
// A desired spec without a class name keeps the current one, because admission
// fills it.
func Diff(current, desired *v1alpha2.VirtualMachineSpec) []Change {
	if desired.VirtualMachineClassName == "" {
		desired = desired.DeepCopy()
		desired.VirtualMachineClassName = current.VirtualMachineClassName
	}
	var changes []Change
	for _, f := range fields {
		changes = appendChange(changes, f.path, f.action, f.value(current), f.value(desired))
	}
	changes = append(changes, diffBlockDevices(current.BlockDeviceRefs, desired.BlockDeviceRefs)...)
	return append(changes, diffProvisioning(current.Provisioning, desired.Provisioning)...)
}

// DiffClass lists the differences between two specs of a class that matter to
// the machines in it. Their paths start with "VirtualMachineClass:".
func DiffClass(current, desired *v1alpha2.VirtualMachineClassSpec) []Change {
	var changes []Change
	for _, f := range classFields {
		changes = appendChange(changes, classPathPrefix+f.path, Restart, f.value(current), f.value(desired))
	}
	return changes
}

func appendChange(changes []Change, path string, action Action, current, desired any) []Change {
	if equality.Semantic.DeepEqual(current, desired) {
		return changes
	}
	return append(changes, Change{Operation: operation(current, desired), Path: path, Current: current, Desired: desired, Action: action})
}

func operation(current, desired any) v1alpha2.ChangeOperation {
	switch {
	case current == nil:
		return v1alpha2.ChangeAdd
	case desired == nil:
		return v1alpha2.ChangeRemove
	default:
		return v1alpha2.ChangeReplace
	}
}

package health

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	virtualization = "virtualization.deckhouse.io"
	kubevirt       = "kubevirt.io"
	cdi            = "cdi.kubevirt.io"
)

func vk(kind string) schema.GroupKind { return schema.GroupKind{Group: virtualization, Kind: kind} }

// judges are the rules of the kinds that have rules of their own.
var judges = map[schema.GroupKind]func(object) Health{
	vk("VirtualMachine"):                      machine,
	vk("VirtualImage"):                        image,
	vk("ClusterVirtualImage"):                 image,
	vk("VirtualDisk"):                         disk,
	vk("VirtualMachineClass"):                 class,
	vk("VirtualMachineBlockDeviceAttachment"): byPhase(attachmentPhases, "Attached"),
	vk("VirtualMachineOperation"):             byPhase(operationPhases, "Completed"),
	vk("VirtualMachineSnapshotOperation"):     byPhase(operationPhases, "Completed"),
	vk("VirtualMachineSnapshot"):              byPhase(snapshotPhases, "VirtualMachineSnapshotReady"),
	vk("VirtualDiskSnapshot"):                 byPhase(snapshotPhases, "VirtualDiskSnapshotReady"),
	vk("VirtualMachineRestore"):               byPhase(snapshotPhases, "VirtualMachineRestoreReady"),
	vk("VirtualMachineIPAddress"):             address,
	vk("VirtualMachineMACAddress"):            address,
	vk("VirtualMachineIPAddressLease"):        byPhase(leasePhases, "Bound"),
	vk("VirtualMachineMACAddressLease"):       byPhase(leasePhases, "Bound"),

	{Group: kubevirt, Kind: "VirtualMachine"}:         kubevirtMachine,
	{Group: kubevirt, Kind: "VirtualMachineInstance"}: kubevirtInstance,
	{Group: cdi, Kind: "DataVolume"}:                  dataVolume,
}

// Phases of kinds whose phase tells all.
var (
	attachmentPhases = map[string]State{"Attached": Healthy, "Failed": Degraded}
	operationPhases  = map[string]State{"Completed": Healthy, "Superseded": Healthy, "Failed": Degraded}
	snapshotPhases   = map[string]State{"Ready": Healthy, "Failed": Degraded}
	leasePhases      = map[string]State{"Bound": Healthy, "Released": Progressing}
)

// byPhase judges by a table of phases, with the words of a condition. A phase
// that is not in the table is on its way.
func byPhase(phases map[string]State, conditionType string) func(object) Health {
	return func(o object) Health {
		c := o.condition(conditionType)
		phase := o.phase()
		message := describe(phaseMessage(phase), c)
		switch phases[phase] {
		case Healthy:
			return healthy(message)
		case Degraded:
			return degraded(firstOf(c.reason, phase), message)
		default:
			return o.moving(firstOf(c.reason, phase, ReasonNotObserved), message)
		}
	}
}

func phaseMessage(phase string) string {
	if phase == "" {
		return "has no phase yet"
	}
	return "is " + phase
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// class judges a VirtualMachineClass.
func class(o object) Health {
	ready := o.condition("Ready")
	switch {
	case o.phase() == "Ready":
		return healthy("is Ready")
	case ready.isFalse() && (ready.reason == "NoSuitableNodesFound" || ready.reason == "NoCpuFeaturesEnabled"):
		return degraded(ready.reason, describe("has no node to run on", ready))
	default:
		return progressing(firstOf(ready.reason, "Pending"), describe(phaseMessage(o.phase()), ready))
	}
}

// addressRefusals are reasons that waiting does not cure.
var addressRefusals = map[string]bool{
	"VirtualMachineIPAddressIsOutOfTheValidRange":   true,
	"VirtualMachineIPAddressLeaseAlreadyExists":     true,
	"VirtualMachineMACAddressLeaseAlreadyExists":    true,
	"VirtualMachineMACAddressIsOutOfTheValidRange":  true,
	"VirtualMachineMACAddressLeaseAlreadyAllocated": true,
}

// address judges addresses: one that is reserved does its job, attached or not.
func address(o object) Health {
	bound := o.condition("Bound")
	if phase := o.phase(); phase == "Bound" || phase == "Attached" {
		return healthy("is " + phase)
	}
	if bound.isFalse() && addressRefusals[bound.reason] {
		return degraded(bound.reason, describe("cannot be reserved", bound))
	}
	return o.moving(firstOf(bound.reason, "Pending"), describe(phaseMessage(o.phase()), bound))
}

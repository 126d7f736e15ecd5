package machine

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/equality"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/class/sizing"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/kubevirt"
	"slipway.dev/slipway/reconcilers/machine/change"
)

// report writes the machine's status from the scope.
func report(s *scope, result flow.Result) {
	if result.Outcome.IsFailed() && result.Step == "observe" {
		return
	}
	status := &s.vm.Status
	status.ObservedGeneration = s.vm.Generation
	status.Phase = phaseOf(s)
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.vm.Generation, Now: s.now}
	if s.vm.DeletionTimestamp.IsZero() {
		reportDependencies(conditions, s)
		reportConfiguration(conditions, s, result)
		reportChanges(s)
		reportAddress(s)
		reportDevices(s)
	}
	reportGuest(conditions, s)
	reportInstance(s)
	reportResources(s)
	reportStats(s, conditions)
}

// reportChanges lists what waits for a restart, and nothing while no guest runs.
func reportChanges(s *scope) {
	s.vm.Status.RestartAwaitingChanges = nil
	if !s.awaiting() {
		return
	}
	if list, err := change.Awaiting(s.changes); err == nil {
		s.vm.Status.RestartAwaitingChanges = list
	}
}

// reportAddress shows the address that the guest has; one that waits for a
// restart is not shown yet.
func reportAddress(s *scope) {
	status := &s.vm.Status
	if s.state().Alive() && s.engine != nil {
		status.IPAddress = s.engine.Spec.Template.ObjectMeta.Annotations[kubevirt.AddressAnnotation]
		if s.record.spec != nil {
			running := &v1alpha2.VirtualMachine{ObjectMeta: s.vm.ObjectMeta, Spec: *s.record.spec}
			status.VirtualMachineIPAddressName = address.NameFor(running)
		}
		return
	}
	status.VirtualMachineIPAddressName, status.IPAddress = "", ""
	if s.address != nil {
		status.VirtualMachineIPAddressName = s.address.Name
	}
	if s.addressReady.ok {
		status.IPAddress = s.address.Status.Address
	}
}

// reportInstance copies what KubeVirt tells of the instance.
func reportInstance(s *scope) {
	status := &s.vm.Status
	status.NodeName, status.GuestOSInfo, status.Versions, status.MigrationState = "", v1alpha2.GuestOSInfo{}, v1alpha2.Versions{}, nil
	status.VirtualMachinePods = s.pods
	status.Networks = []v1alpha2.NetworkStatus{{ID: 1, Type: v1alpha2.NetworkMain, Name: "default"}}
	i := s.instance
	if i == nil {
		return
	}
	status.NodeName, status.MigrationState = i.Status.NodeName, migrationOf(i.Status.MigrationState)
	guest := i.Status.GuestOSInfo
	status.GuestOSInfo = v1alpha2.GuestOSInfo{
		Name: guest.Name, KernelRelease: guest.KernelRelease, KernelVersion: guest.KernelVersion, Version: guest.Version,
		VersionID: guest.VersionID, PrettyName: guest.PrettyName, Machine: guest.Machine, ID: guest.ID,
	}
	status.Versions = v1alpha2.Versions{
		QEMU: i.Annotations[annotations.QEMUVersion], Libvirt: i.Annotations[annotations.LibvirtVersion],
	}
	if len(i.Status.Interfaces) > 0 {
		status.Networks[0].MACAddress = i.Status.Interfaces[0].MAC
	}
}

// reportResources shows what the running configuration reserves. Amounts that
// are equal but written differently are left as they are.
func reportResources(s *scope) {
	reserved := v1alpha2.ResourcesStatus{}
	if s.record.spec != nil {
		reserved = reservedBy(s.record.spec)
	}
	if !equality.Semantic.DeepEqual(reserved, s.vm.Status.Resources) {
		s.vm.Status.Resources = reserved
	}
}

func reservedBy(spec *v1alpha2.VirtualMachineSpec) v1alpha2.ResourcesStatus {
	cpu := v1alpha2.CPUStatus{Cores: int(spec.CPU.Cores), CoreFraction: cmp.Or(spec.CPU.CoreFraction, sizing.FullFraction)}
	if request, err := kubevirt.RequestedCPU(spec); err == nil {
		cpu.RequestedCores = request
	}
	if t, err := kubevirt.TopologyOf(spec.CPU.Cores); err == nil {
		cpu.Topology = &v1alpha2.CPUTopology{CoresPerSocket: int(t.CoresPerSocket), Sockets: int(t.Sockets)}
	}
	return v1alpha2.ResourcesStatus{CPU: cpu, Memory: v1alpha2.MemoryStatus{Size: spec.Memory.Size}}
}

// reportDevices lists the devices of the configuration that is, or would be, in
// effect.
func reportDevices(s *scope) {
	refs := s.vm.Spec.BlockDeviceRefs
	if s.record.spec != nil {
		refs = s.record.spec.BlockDeviceRefs
	}
	sizes := map[v1alpha2.BlockDeviceSpecRef]string{}
	for _, d := range s.devices {
		sizes[d.Ref] = d.size
	}
	for _, before := range s.vm.Status.BlockDeviceRefs {
		ref := v1alpha2.BlockDeviceSpecRef{Kind: before.Kind, Name: before.Name}
		sizes[ref] = cmp.Or(sizes[ref], before.Size)
	}
	var list []v1alpha2.BlockDeviceStatusRef
	for _, ref := range refs {
		attached, target := attachment(s, ref)
		list = append(list, v1alpha2.BlockDeviceStatusRef{Kind: ref.Kind, Name: ref.Name, Size: sizes[ref], Attached: attached, Target: target})
	}
	s.vm.Status.BlockDeviceRefs = list
}

func attachment(s *scope, ref v1alpha2.BlockDeviceSpecRef) (attached bool, target string) {
	if s.instance == nil || !s.state().Alive() {
		return false, ""
	}
	for _, v := range s.instance.Status.VolumeStatus {
		if v.Name == kubevirt.VolumeName(ref) {
			return true, v.Target
		}
	}
	return false, ""
}

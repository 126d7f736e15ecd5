package instance

import (
	"cmp"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/local/node/domain"
	"slipway.dev/slipway/local/node/guest"
)

// View is all that a status is computed from.
type View struct {
	VMI      *virtv1.VirtualMachineInstance // with the status that is to be replaced
	Decision Decision
	Process  Observed
	Claims   map[string]*corev1.PersistentVolumeClaim // by the volume's name
	Sources  []cdiv1.DataVolume                       // that the claims were made for
	Node     string
	Now      metav1.Time
}

// Status is the instance's status in KubeVirt's words.
func Status(v View) virtv1.VirtualMachineInstanceStatus {
	out := *v.VMI.Status.DeepCopy()
	setPhase(&out, v)
	setConditions(&out, v)
	out.Reason = ""
	if Final(out.Phase) {
		out.Reason = v.Decision.Reason
		if Final(v.VMI.Status.Phase) {
			out.Reason = v.VMI.Status.Reason
		}
	}
	topology := domain.Topology(&v.VMI.Spec.Domain)
	out.CurrentCPUTopology, out.Memory = &topology, memoryStatus(v.VMI)
	out.VolumeStatus = volumeStatus(v)
	out.GuestOSInfo = virtv1.VirtualMachineInstanceGuestOSInfo{}
	out.Interfaces = nil
	out.FSFreezeStatus = ""
	if v.Process.Running {
		if v.Process.Record.Frozen != nil {
			out.FSFreezeStatus = fileSystemsFrozen
		}
		out.NodeName = v.Node
		out.RuntimeUser = uint64(os.Getuid())
		out.Machine = &virtv1.Machine{Type: cmp.Or(v.Process.Record.Board, domain.MachineType(&v.VMI.Spec.Domain))}
		out.Interfaces = interfaces(v)
		out.GuestOSInfo = osInfo(v.Process.Guest)
	}
	return out
}

func setPhase(s *virtv1.VirtualMachineInstanceStatus, v View) {
	phase := v.Decision.Phase
	if phase == virtv1.VmPhaseUnset {
		phase = virtv1.Pending
	}
	if s.Phase == phase {
		return
	}
	for _, p := range passed(s.Phase, phase) {
		s.PhaseTransitionTimestamps = slices.DeleteFunc(s.PhaseTransitionTimestamps,
			func(t virtv1.VirtualMachineInstancePhaseTransitionTimestamp) bool { return t.Phase == p })
		s.PhaseTransitionTimestamps = append(s.PhaseTransitionTimestamps,
			virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: p, PhaseTransitionTimestamp: v.Now})
	}
	s.Phase = phase
}

// course is what an instance passes through until it runs.
var course = []virtv1.VirtualMachineInstancePhase{virtv1.Pending, virtv1.Scheduling, virtv1.Scheduled, virtv1.Running}

// passed are the phases after one up to another. KubeVirt skips none; here several may be passed at once.
func passed(from, to virtv1.VirtualMachineInstancePhase) []virtv1.VirtualMachineInstancePhase {
	begin, end := slices.Index(course, from)+1, slices.Index(course, to)+1
	if end <= begin {
		return []virtv1.VirtualMachineInstancePhase{to}
	}
	return course[begin:end]
}

// fileSystemsFrozen is KubeVirt's word.
const fileSystemsFrozen = "frozen"

func memoryStatus(vmi *virtv1.VirtualMachineInstance) *virtv1.MemoryStatus {
	memory := domain.Memory(&vmi.Spec.Domain).DeepCopy()
	return &virtv1.MemoryStatus{GuestAtBoot: &memory, GuestCurrent: &memory, GuestRequested: &memory}
}

// volumeStatus lists what has a claim, and when the guest runs, all that it has.
func volumeStatus(v View) []virtv1.VolumeStatus {
	targets := domain.Targets(&v.VMI.Spec)
	var out []virtv1.VolumeStatus
	for i := range v.VMI.Spec.Volumes {
		name := v.VMI.Spec.Volumes[i].Name
		status := virtv1.VolumeStatus{Name: name}
		if v.Process.Running {
			status.Target = targets[name]
		}
		if pvc := v.Claims[name]; pvc != nil {
			status.PersistentVolumeClaimInfo = &virtv1.PersistentVolumeClaimInfo{
				ClaimName: pvc.Name, AccessModes: pvc.Spec.AccessModes, VolumeMode: pvc.Spec.VolumeMode,
				Capacity: pvc.Status.Capacity, Requests: pvc.Spec.Resources.Requests,
			}
		} else if !v.Process.Running {
			continue
		}
		out = append(out, status)
	}
	return out
}

// interfaces combines what the node gives with what the guest tells.
func interfaces(v View) []virtv1.VirtualMachineInstanceNetworkInterface {
	var out []virtv1.VirtualMachineInstanceNetworkInterface
	for _, i := range domain.Interfaces(&v.VMI.Spec) {
		mac, _ := domain.MAC(v.VMI, i)
		address := domain.Address(v.VMI.Annotations[AddressAnnotation])
		status := virtv1.VirtualMachineInstanceNetworkInterface{
			Name: i.Name, MAC: mac, IP: address, IPs: []string{address}, InfoSource: "domain", QueueCount: 1,
			PodInterfaceName: "eth0", LinkState: "up",
		}
		complete(&status, v.Process.Guest)
		out = append(out, status)
	}
	return out
}

func complete(status *virtv1.VirtualMachineInstanceNetworkInterface, info *guest.Info) {
	if info == nil {
		return
	}
	for _, i := range info.Interfaces {
		if !strings.EqualFold(i.MAC, status.MAC) {
			continue
		}
		status.InfoSource, status.InterfaceName = "domain, guest-agent", i.Name
		var ips []string
		for _, a := range i.Addresses {
			ips = append(ips, a.IP)
		}
		if len(ips) > 0 {
			status.IP, status.IPs = ips[0], ips
		}
	}
}

func osInfo(info *guest.Info) virtv1.VirtualMachineInstanceGuestOSInfo {
	if info == nil {
		return virtv1.VirtualMachineInstanceGuestOSInfo{}
	}
	return virtv1.VirtualMachineInstanceGuestOSInfo{
		Name: info.OS.Name, KernelRelease: info.OS.KernelRelease, Version: info.OS.Version, PrettyName: info.OS.PrettyName,
		VersionID: info.OS.VersionID, KernelVersion: info.OS.KernelVersion, Machine: info.OS.Machine, ID: info.OS.ID,
	}
}

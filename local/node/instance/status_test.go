package instance

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/local/node/guest"
)

var (
	earlier = metav1.NewTime(time.Unix(1000, 0))
	now     = metav1.NewTime(time.Unix(2000, 0))
)

func machineInstance() *virtv1.VirtualMachineInstance {
	vmi := &virtv1.VirtualMachineInstance{}
	vmi.Namespace, vmi.Name = "shop", "web"
	vmi.Annotations = map[string]string{AddressAnnotation: "10.66.10.7"}
	memory := resource.MustParse("1Gi")
	vmi.Spec.Domain.Memory = &virtv1.Memory{Guest: &memory}
	vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: 2}
	vmi.Spec.Domain.Devices.Disks = []virtv1.Disk{{Name: "root", DiskDevice: virtv1.DiskDevice{Disk: &virtv1.DiskTarget{Bus: virtv1.DiskBusVirtio}}}}
	vmi.Spec.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "default", MacAddress: "52:54:00:00:00:01"}}
	vmi.Spec.Volumes = []virtv1.Volume{{Name: "root", VolumeSource: virtv1.VolumeSource{
		PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{PersistentVolumeClaimVolumeSource: corev1.PersistentVolumeClaimVolumeSource{ClaimName: "root"}},
	}}}
	return vmi
}

type said struct{ Status, Reason, Message string }

func conditionsOf(s virtv1.VirtualMachineInstanceStatus) map[string]said {
	out := map[string]said{}
	for _, c := range s.Conditions {
		out[string(c.Type)] = said{string(c.Status), c.Reason, c.Message}
	}
	return out
}

func TestConditionsFollowTheDecision(t *testing.T) {
	notMigratable := said{"False", "NotMigratable", "this node is the only one"}
	notRunning := said{"False", "GuestNotRunning", "Guest VM is not reported as running"}
	tests := map[string]struct {
		decision Decision
		process  Observed
		phase    virtv1.VirtualMachineInstancePhase
		reason   string
		want     map[string]said
	}{
		"waits for a claim": {
			decision: Decision{Phase: virtv1.Pending, Reason: ReasonPVCNotFound, Message: "no claim"},
			phase:    virtv1.Pending,
			want:     map[string]said{"Ready": {"False", "PodNotExists", "no claim"}, "Synchronized": {"False", "FailedPvcNotFound", "no claim"}},
		},
		"no node takes it": {
			decision: Decision{Phase: virtv1.Scheduling, Reason: ReasonUnschedulable, Message: "labels"},
			phase:    virtv1.Scheduling,
			want:     map[string]said{"Ready": notRunning, "PodScheduled": {"False", "Unschedulable", "labels"}},
		},
		"in the making": {
			decision: Decision{Phase: virtv1.Scheduling, Reason: ReasonPreparing, Message: "25 %"},
			phase:    virtv1.Scheduling,
			want:     map[string]said{"Ready": {"False", "GuestNotRunning", "25 %"}},
		},
		"about to start": {
			decision: Decision{Phase: virtv1.Scheduled},
			phase:    virtv1.Scheduled,
			want:     map[string]said{"Ready": notRunning},
		},
		"runs": {
			decision: Decision{Phase: virtv1.Running}, process: Observed{Known: true, Running: true},
			phase: virtv1.Running,
			want:  map[string]said{"Ready": {"True", "", ""}, "LiveMigratable": notMigratable},
		},
		"runs with an agent": {
			decision: Decision{Phase: virtv1.Running}, process: Observed{Known: true, Running: true, Guest: &guest.Info{}},
			phase: virtv1.Running,
			want:  map[string]said{"Ready": {"True", "", ""}, "LiveMigratable": notMigratable, "AgentConnected": {"True", "", ""}},
		},
		"over": {
			decision: Decision{Phase: virtv1.Succeeded, Reason: "GuestShutdown", Message: "the guest powered off"}, process: Observed{Known: true},
			phase: virtv1.Succeeded, reason: "GuestShutdown",
			want: map[string]said{"Ready": notRunning},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Status(View{VMI: machineInstance(), Decision: tc.decision, Process: tc.process, Node: "here", Now: now})
			if diff := cmp.Diff(tc.want, conditionsOf(got)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if got.Phase != tc.phase || got.Reason != tc.reason {
				t.Errorf("phase %s, reason %q; want %s, %q", got.Phase, got.Reason, tc.phase, tc.reason)
			}
		})
	}
}

func TestDataVolumesReady(t *testing.T) {
	volume := func(ready corev1.ConditionStatus) cdiv1.DataVolume {
		return cdiv1.DataVolume{Status: cdiv1.DataVolumeStatus{Conditions: []cdiv1.DataVolumeCondition{{Type: cdiv1.DataVolumeReady, Status: ready}}}}
	}
	ready, unready, unknown := volume(corev1.ConditionTrue), volume(corev1.ConditionFalse), cdiv1.DataVolume{}
	all, notAll := said{"True", "AllDVsReady", "All of the VMI's DVs are bound and ready"}, said{"False", "NotAllDVsReady", "Not all of the VMI's DVs are ready"}
	for name, c := range map[string]struct {
		sources []cdiv1.DataVolume
		want    said
	}{
		"none":                         {nil, said{}},
		"all are ready":                {[]cdiv1.DataVolume{ready, ready}, all},
		"one is not":                   {[]cdiv1.DataVolume{unready, ready}, notAll},
		"one is not known":             {[]cdiv1.DataVolume{unknown, ready}, said{"Unknown", notAll.Reason, notAll.Message}},
		"one is not, one is not known": {[]cdiv1.DataVolume{unready, unknown}, notAll},
	} {
		t.Run(name, func(t *testing.T) {
			got := conditionsOf(Status(View{VMI: machineInstance(), Decision: Decision{Phase: virtv1.Running}, Sources: c.sources, Now: now}))
			if got["DataVolumesReady"] != c.want {
				t.Errorf("condition %+v, want %+v", got["DataVolumesReady"], c.want)
			}
		})
	}
}

func TestWhyAGuestCannotBeMoved(t *testing.T) {
	const private = "cannot migrate VMI: PVC root is not shared, live migration requires that all PVCs must be shared (using ReadWriteMany access mode)"
	for name, c := range map[string]struct {
		modes           []corev1.PersistentVolumeAccessMode
		reason, message string
	}{
		"a disk of this node's": {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, "DisksNotLiveMigratable", private},
		"a shared disk":         {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, "NotMigratable", "this node is the only one"},
	} {
		t.Run(name, func(t *testing.T) {
			pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "root"}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: c.modes}}
			reason, message := notMigratable(View{VMI: machineInstance(), Claims: map[string]*corev1.PersistentVolumeClaim{"root": pvc}})
			if reason != c.reason || message != c.message {
				t.Errorf("%s: %s", reason, message)
			}
		})
	}
}

func TestARunningInstanceTellsItsMachine(t *testing.T) {
	vmi := machineInstance()
	pvc := &corev1.PersistentVolumeClaim{}
	pvc.Name = "root"
	pvc.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	got := Status(View{
		VMI: vmi, Decision: Decision{Phase: virtv1.Running}, Node: "here", Now: now,
		Claims: map[string]*corev1.PersistentVolumeClaim{"root": pvc},
		Process: Observed{Known: true, Running: true, Record: Record{Board: "pc-q35-7.2"}, Guest: &guest.Info{
			OS:         guest.OS{ID: "debian", KernelRelease: "6.1"},
			Interfaces: []guest.Interface{{Name: "lo"}, {Name: "enp1s0", MAC: "52:54:00:00:00:01", Addresses: []guest.Address{{IP: "10.66.10.7"}, {IP: "fe80::1"}}}},
		}},
	})
	memory := resource.MustParse("1Gi")
	want := virtv1.VirtualMachineInstanceStatus{
		NodeName: "here", Phase: virtv1.Running, Machine: &virtv1.Machine{Type: "pc-q35-7.2"},
		CurrentCPUTopology: &virtv1.CPUTopology{Cores: 2, Sockets: 1, Threads: 1},
		Memory:             &virtv1.MemoryStatus{GuestAtBoot: &memory, GuestCurrent: &memory, GuestRequested: &memory},
		GuestOSInfo:        virtv1.VirtualMachineInstanceGuestOSInfo{ID: "debian", KernelRelease: "6.1"},
		Interfaces: []virtv1.VirtualMachineInstanceNetworkInterface{{
			Name: "default", MAC: "52:54:00:00:00:01", IP: "10.66.10.7", IPs: []string{"10.66.10.7", "fe80::1"}, InterfaceName: "enp1s0",
			InfoSource: "domain, guest-agent", QueueCount: 1, PodInterfaceName: "eth0", LinkState: "up",
		}},
		VolumeStatus: []virtv1.VolumeStatus{{Name: "root", Target: "vda", PersistentVolumeClaimInfo: &virtv1.PersistentVolumeClaimInfo{
			ClaimName: "root", Capacity: pvc.Status.Capacity,
		}}},
		PhaseTransitionTimestamps: []virtv1.VirtualMachineInstancePhaseTransitionTimestamp{
			{Phase: virtv1.Pending, PhaseTransitionTimestamp: now},
			{Phase: virtv1.Scheduling, PhaseTransitionTimestamp: now},
			{Phase: virtv1.Scheduled, PhaseTransitionTimestamp: now},
			{Phase: virtv1.Running, PhaseTransitionTimestamp: now},
		},
	}
	ignore := cmpopts.IgnoreFields(virtv1.VirtualMachineInstanceStatus{}, "Conditions", "RuntimeUser")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestAStatusThatDidNotChangeIsEqual(t *testing.T) {
	for name, view := range map[string]View{
		"runs":             {Decision: Decision{Phase: virtv1.Running}, Process: Observed{Known: true, Running: true}},
		"no node takes it": {Decision: Decision{Phase: virtv1.Scheduling, Reason: ReasonUnschedulable, Message: "labels"}},
		"no image":         {Decision: Decision{Phase: virtv1.Scheduling, Reason: ReasonImagePull, Message: "404"}},
	} {
		t.Run(name, func(t *testing.T) {
			view.VMI, view.Node, view.Now = machineInstance(), "here", earlier
			view.VMI.Status = Status(view)
			view.Now = now
			if diff := cmp.Diff(view.VMI.Status, Status(view)); diff != "" {
				t.Errorf("second status (-first +second):\n%s", diff)
			}
		})
	}
}

func TestPhasesPassed(t *testing.T) {
	type phases = []virtv1.VirtualMachineInstancePhase
	for name, c := range map[string]struct {
		from, to virtv1.VirtualMachineInstancePhase
		want     phases
	}{
		"new and runs at once": {"", virtv1.Running, phases{virtv1.Pending, virtv1.Scheduling, virtv1.Scheduled, virtv1.Running}},
		"one step":             {virtv1.Pending, virtv1.Scheduling, phases{virtv1.Scheduling}},
		"one is skipped":       {virtv1.Scheduling, virtv1.Running, phases{virtv1.Scheduled, virtv1.Running}},
		"back":                 {virtv1.Scheduling, virtv1.Pending, phases{virtv1.Pending}},
		"it ends":              {virtv1.Running, virtv1.Succeeded, phases{virtv1.Succeeded}},
		"it never ran":         {virtv1.Scheduling, virtv1.Failed, phases{virtv1.Failed}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, passed(c.from, c.to)); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFinishedInstanceKeepsItsReason(t *testing.T) {
	vmi := machineInstance()
	vmi.Status.Phase, vmi.Status.Reason = virtv1.Failed, "Crashed"
	got := Status(View{VMI: vmi, Decision: Decide(Situation{Phase: virtv1.Failed}), Now: now})
	if got.Phase != virtv1.Failed || got.Reason != "Crashed" {
		t.Errorf("phase %s, reason %q", got.Phase, got.Reason)
	}
}

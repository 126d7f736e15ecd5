package compare

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/local/node/guest"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/machine"
	"slipway.dev/slipway/local/node/qemu"
)

// TestPlayed has local/node write what it writes of the recorded machines, without a guest.
func TestPlayed(t *testing.T) {
	for _, at := range points {
		t.Run(string(at), func(t *testing.T) {
			recorded, err := Recorded(at)
			if errors.Is(err, ErrNotRecorded) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := compare(recorded, played(t, at, recorded), known(at)); err != nil {
				t.Error(err)
			}
		})
	}
}

// played is what local/node says of a recorded machine after what happened to it.
func played(t *testing.T, at Point, recorded Objects) Objects {
	out := Objects{Machine: recorded.Machine.DeepCopy(), Claims: recorded.Claims}
	out.Machine.Status = virtv1.VirtualMachineStatus{}
	out.Instance = &virtv1.VirtualMachineInstance{ObjectMeta: *out.Machine.Spec.Template.ObjectMeta.DeepCopy(), Spec: out.Machine.Spec.Template.Spec}
	for _, decision := range happened(at) {
		out.Instance.Status = instance.Status(seen(t, out, decision))
		out.Machine.Status = status(out)
	}
	if at == Stopped {
		out.Instance = nil
		out.Machine.Status = status(out)
	}
	return out
}

func status(o Objects) virtv1.VirtualMachineStatus {
	return machine.Status(machine.View{VM: o.Machine, Instance: o.Instance, Storage: storage(o.Claims), Now: metav1.Now()})
}

// happened is what local/node decides of an instance up to a point.
func happened(at Point) []instance.Decision {
	runs := instance.Decision{Phase: virtv1.Running}
	switch at {
	case Unschedulable:
		return []instance.Decision{{Phase: virtv1.Scheduling, Reason: instance.ReasonUnschedulable, Message: "no label"}}
	case PoweredOff:
		return []instance.Decision{runs, {Phase: virtv1.Succeeded, Reason: string(qemu.GuestShutdown)}}
	}
	return []instance.Decision{runs}
}

// seen is what local/node sees of an instance. Its guest's agent answers as one answered KubeVirt.
func seen(t *testing.T, o Objects, decision instance.Decision) instance.View {
	running, err := Recorded(Running)
	if err != nil {
		t.Fatal(err)
	}
	view := instance.View{
		VMI: o.Instance, Node: "here", Now: metav1.Now(), Decision: decision, Claims: o.Claims,
		Process: instance.Observed{Known: true, Running: decision.Phase == virtv1.Running, Record: instance.Record{Board: "pc-q35-7.2"}},
	}
	for range o.Claims {
		view.Sources = append(view.Sources, cdiv1.DataVolume{Status: cdiv1.DataVolumeStatus{
			Conditions: []cdiv1.DataVolumeCondition{{Type: cdiv1.DataVolumeReady, Status: corev1.ConditionTrue}},
		}})
	}
	if !view.Process.Running {
		return view
	}
	said, nic := running.Instance.Status.GuestOSInfo, running.Instance.Status.Interfaces[0]
	view.Process.Guest = &guest.Info{
		OS: guest.OS{
			ID: said.ID, Name: said.Name, PrettyName: said.PrettyName, Version: said.Version, VersionID: said.VersionID,
			KernelRelease: said.KernelRelease, KernelVersion: said.KernelVersion, Machine: said.Machine,
		},
		Interfaces: []guest.Interface{{Name: nic.InterfaceName, MAC: instance.Status(view).Interfaces[0].MAC}},
	}
	return view
}

// storage is that of the engine, whose class has snapshots.
func storage(claims Claims) machine.Storage {
	s := machine.Storage{Class: map[string]string{}, Snapshotting: map[string]bool{}}
	for _, claim := range claims {
		class := ptr.Deref(claim.Spec.StorageClassName, "")
		s.Class[claim.Name], s.Snapshotting[class] = class, true
	}
	return s
}

func TestFieldsNamesWhatIsOfOneRun(t *testing.T) {
	size := func(text string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(text)}
	}
	const id = "335bf58b-78fc-41c7-9e39-70d457336123"
	o := Objects{
		Machine: &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Generation: 7}, Status: virtv1.VirtualMachineStatus{
			Ready: true, ObservedGeneration: 7, DesiredGeneration: 6,
			Conditions: []virtv1.VirtualMachineCondition{{
				Type: virtv1.VirtualMachineReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(), Message: "PVC vd-" + id + " at 10.1.2.3",
			}},
		}},
		Instance: &virtv1.VirtualMachineInstance{Status: virtv1.VirtualMachineInstanceStatus{
			NodeName: "node1", RuntimeUser: 107, ActivePods: map[types.UID]string{id: "node1"}, Machine: &virtv1.Machine{Type: "pc-q35-7.2"},
			VirtualMachineRevisionName: "revision-" + id + "-7",
			PhaseTransitionTimestamps:  []virtv1.VirtualMachineInstancePhaseTransitionTimestamp{{Phase: virtv1.Running}},
			Interfaces:                 []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default", MAC: "f6:64:1d:16:68:ef", IP: "fe80::1"}},
			VolumeStatus:               []virtv1.VolumeStatus{{Name: "vd-root", PersistentVolumeClaimInfo: &virtv1.PersistentVolumeClaimInfo{Requests: size("1Gi"), Capacity: size("2Gi")}}},
		}},
		Claims: Claims{"vd-root": {
			Spec:   corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: size("1Gi")}},
			Status: corev1.PersistentVolumeClaimStatus{Capacity: size("3Gi")},
		}},
	}
	want := map[string]string{
		"machine.ready": "true", "machine.observedGeneration": "GENERATION", "machine.desiredGeneration": "6",
		"machine.conditions[Ready].type": "Ready", "machine.conditions[Ready].status": "True",
		"machine.conditions[Ready].message":                                         "PVC vd-UID at ADDRESS",
		"instance.nodeName":                                                         "NODE",
		"instance.runtimeUser":                                                      "107",
		"instance.activePods.UID":                                                   "NODE",
		"instance.machine.type":                                                     "pc-q35-VERSION",
		"instance.virtualMachineRevisionName":                                       "revision-UID-GENERATION",
		"instance.phaseTransitionTimestamps[Running].phase":                         "Running",
		"instance.interfaces[default].name":                                         "default",
		"instance.interfaces[default].mac":                                          "MAC",
		"instance.volumeStatus[vd-root].name":                                       "vd-root",
		"instance.volumeStatus[vd-root].persistentVolumeClaimInfo.requests.storage": "REQUESTED",
		"instance.volumeStatus[vd-root].persistentVolumeClaimInfo.capacity.storage": "2Gi",
		"instance.volumeStatus[vd-root].target":                                     "",
		"claims[vd-root].capacity.storage":                                          "CAPACITY",
		"instance.interfaces[default].ipAddress":                                    "ADDRESS",
	}
	got, err := fields(o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestCompareTells(t *testing.T) {
	ready := func(is bool, strategy virtv1.VirtualMachineRunStrategy) Objects {
		return Objects{Machine: &virtv1.VirtualMachine{Status: virtv1.VirtualMachineStatus{Ready: is, RunStrategy: strategy}}}
	}
	table := []difference{{field: "machine.ready"}}
	cases := map[string]struct {
		seen  Objects
		known []difference
		says  string
	}{
		"the same":                           {ready(true, "Manual"), nil, ""},
		"a field less":                       {ready(false, "Manual"), nil, `machine.ready is not there, KubeVirt wrote "true"`},
		"another value":                      {ready(true, "Always"), nil, `machine.runStrategy is "Always", KubeVirt wrote "Manual"`},
		"a known difference":                 {ready(false, "Manual"), table, ""},
		"a known difference and another":     {ready(false, "Always"), table, "machine.runStrategy"},
		"a known difference that is none":    {ready(true, "Manual"), table, "machine.ready is in the table"},
		"a field whose name begins the same": {ready(false, "Manual"), []difference{{field: "machine.rea"}}, "machine.ready is not there"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := compare(ready(true, "Manual"), c.seen, c.known)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("compare says %v, want %q", err, c.says)
			}
		})
	}
}

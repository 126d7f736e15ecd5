package compare

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/guest"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/machine"
)

// TestPlayed has local/node write what it writes of a recorded machine.
func TestPlayed(t *testing.T) {
	recorded, err := Recorded(Restarted)
	if err != nil {
		t.Fatal(err)
	}
	if err := compare(recorded, played(recorded), known(Restarted)); err != nil {
		t.Error(err)
	}
}

// played is what local/node says of a recorded machine while it runs and its agent answers as it answered KubeVirt.
func played(recorded Objects) Objects {
	out := Objects{Machine: recorded.Machine.DeepCopy(), Instance: recorded.Instance.DeepCopy(), Claims: recorded.Claims}
	out.Instance.Status = virtv1.VirtualMachineInstanceStatus{}
	view := instance.View{
		VMI: out.Instance, Node: recorded.Instance.Status.NodeName, Now: metav1.Now(),
		Decision: instance.Decision{Phase: virtv1.Running},
		Process:  instance.Observed{Known: true, Running: true},
		Claims:   recorded.Claims,
	}
	said, nic := recorded.Instance.Status.GuestOSInfo, recorded.Instance.Status.Interfaces[0]
	view.Process.Guest = &guest.Info{
		OS: guest.OS{
			ID: said.ID, Name: said.Name, PrettyName: said.PrettyName, Version: said.Version, VersionID: said.VersionID,
			KernelRelease: said.KernelRelease, KernelVersion: said.KernelVersion, Machine: said.Machine,
		},
		Interfaces: []guest.Interface{{Name: nic.InterfaceName, MAC: instance.Status(view).Interfaces[0].MAC}},
	}
	out.Instance.Status = instance.Status(view)
	out.Machine.Status = virtv1.VirtualMachineStatus{}
	out.Machine.Status = machine.Status(machine.View{VM: out.Machine, Instance: out.Instance, Now: metav1.Now()})
	return out
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

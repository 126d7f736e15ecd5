package compare

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/guest"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/machine"
)

// Differences of a running machine, by the field or what begins it, with the reason.
var (
	instanceDifferences = map[string]string{
		"activePods":                        "no pods on one machine: QEMU is a process of the host",
		"conditions[DataVolumesReady]":      "summarizes DataVolumes, which local/node shows on the volumes themselves",
		"conditions[LiveMigratable]":        "neither can be migrated; the reasons are their own",
		"conditions[StorageLiveMigratable]": "there is no second node to migrate storage to",
		"conditions[Synchronized]":          "local/node says it also when all is well; KubeVirt only when it is not",
		"interfaces[default].ipAddress":     "the machine's own address, which the network of the test does not give to pods",
		"interfaces[default].mac":           "made from the machine, where KubeVirt takes the pod's",
		"launcherContainerImageVersion":     "there is no launcher",
		"machine.type":                      "the version of the machine type comes from the QEMU of the launcher's image",
		"migrationMethod":                   "there is no migration",
		"migrationTransport":                "there is no migration",
		"qosClass":                          "a pod's",
		"runtimeUser":                       "QEMU runs as the user of the process",
		"selinuxContext":                    "a pod's",
		"virtualMachineRevisionName":        "there are no revisions: an instance keeps the spec that it was started with",
		"volumeStatus[cloudinit].size":      "the image of first-boot data is made by each in its own size",
		"volumeStatus[vd-web-root].size":    "local/node tells a volume's size too",
		"volumeStatus[vd-web-root].persistentVolumeClaimInfo.filesystemOverhead": "a disk on one machine is not a file in a file system of its own",
	}
	machineDifferences = map[string]string{
		"conditions[DataVolumesReady]":      "see the instance",
		"conditions[LiveMigratable]":        "see the instance",
		"conditions[StorageLiveMigratable]": "see the instance",
		"conditions[Synchronized]":          "see the instance",
		"volumeSnapshotStatuses":            "Slipway asks the classes itself",
	}
)

func TestRunningInstance(t *testing.T) {
	recorded, claim := &kubevirtv1.VirtualMachineInstance{}, &corev1.PersistentVolumeClaim{}
	load(t, "instance", recorded)
	load(t, "claim", claim)
	compare(t, flatten(t, recorded.Status), flatten(t, played(recorded, claim)), instanceDifferences)
}

func TestRunningMachine(t *testing.T) {
	recorded, vmi, claim := &kubevirtv1.VirtualMachine{}, &kubevirtv1.VirtualMachineInstance{}, &corev1.PersistentVolumeClaim{}
	load(t, "machine", recorded)
	load(t, "instance", vmi)
	load(t, "claim", claim)
	vmi.Status = played(vmi, claim)
	vm := recorded.DeepCopy()
	vm.Status = kubevirtv1.VirtualMachineStatus{}
	compare(t, flatten(t, recorded.Status), flatten(t, machine.Status(machine.View{VM: vm, Instance: vmi, Now: metav1.Now()})), machineDifferences)
}

// played is what local/node says of the recorded instance while it runs and its agent answers as it answered KubeVirt.
func played(recorded *kubevirtv1.VirtualMachineInstance, claim *corev1.PersistentVolumeClaim) kubevirtv1.VirtualMachineInstanceStatus {
	vmi := recorded.DeepCopy()
	vmi.Status = kubevirtv1.VirtualMachineInstanceStatus{}
	view := instance.View{
		VMI: vmi, Node: recorded.Status.NodeName, Now: metav1.Now(),
		Decision: instance.Decision{Phase: kubevirtv1.Running},
		Process:  instance.Observed{Known: true, Running: true},
		Claims:   map[string]*corev1.PersistentVolumeClaim{"vd-web-root": claim},
	}
	said, nic := recorded.Status.GuestOSInfo, recorded.Status.Interfaces[0]
	view.Process.Guest = &guest.Info{
		OS: guest.OS{
			ID: said.ID, Name: said.Name, PrettyName: said.PrettyName, Version: said.Version, VersionID: said.VersionID,
			KernelRelease: said.KernelRelease, KernelVersion: said.KernelVersion, Machine: said.Machine,
		},
		Interfaces: []guest.Interface{{Name: nic.InterfaceName, MAC: instance.Status(view).Interfaces[0].MAC}},
	}
	return instance.Status(view)
}

// compare fails for a difference that the table does not know, and for an entry of the table that is none.
func compare(t *testing.T, stock, local map[string]string, reasons map[string]string) {
	t.Helper()
	used := map[string]bool{}
	for field := range union(stock, local) {
		if stock[field] == local[field] {
			continue
		}
		reason := reasonFor(field, reasons)
		if reason == "" {
			t.Errorf("%s: KubeVirt writes %q, local/node %q", field, stock[field], local[field])
		}
		used[reason] = true
	}
	for reason := range reasons {
		if !used[reason] {
			t.Errorf("%s is in the table and does not differ: take it out", reason)
		}
	}
}

func reasonFor(field string, reasons map[string]string) string {
	for prefix := range reasons {
		if strings.HasPrefix(field, prefix) {
			return prefix
		}
	}
	return ""
}

func union(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for _, one := range []map[string]string{a, b} {
		for field := range one {
			all[field] = true
		}
	}
	return all
}

// flatten gives each field of a status a path, without times.
func flatten(t *testing.T, status any) map[string]string {
	t.Helper()
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	descend("", tree, out)
	return out
}

func descend(path string, node any, out map[string]string) {
	switch typed := node.(type) {
	case map[string]any:
		for name, value := range typed {
			if strings.HasSuffix(name, "Time") || strings.HasSuffix(name, "Timestamp") || strings.HasSuffix(name, "Timestamps") {
				continue
			}
			descend(strings.TrimPrefix(path+"."+name, "."), value, out)
		}
	case []any:
		for i, value := range typed {
			descend(fmt.Sprintf("%s[%s]", path, nameOf(value, i)), value, out)
		}
	case nil:
	default:
		out[path] = fmt.Sprint(typed)
	}
}

// nameOf tells an entry of a list by its name or type, so that the order does not count.
func nameOf(entry any, index int) string {
	if fields, ok := entry.(map[string]any); ok {
		for _, key := range []string{"name", "type"} {
			if name, ok := fields[key].(string); ok {
				return name
			}
		}
	}
	return fmt.Sprint(index)
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestFlattenNamesEntries(t *testing.T) {
	status := kubevirtv1.VirtualMachineStatus{Ready: true, Conditions: []kubevirtv1.VirtualMachineCondition{{Type: kubevirtv1.VirtualMachineReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}}
	want := map[string]string{"ready": "true", "conditions[Ready].type": "Ready", "conditions[Ready].status": "True"}
	if diff := cmp.Diff(want, flatten(t, status)); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

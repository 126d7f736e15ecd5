package health_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"slipway.dev/slipway/reconcilers/environment/health"
)

// now is when objects are judged; they were made an hour before.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func object(tb testing.TB, kind, rest string) *unstructured.Unstructured {
	tb.Helper()
	group := "virtualization.deckhouse.io/v1alpha2"
	if prefix, bare, found := strings.Cut(kind, " "); found {
		group, kind = prefix, bare
	}
	content := map[string]any{}
	text := "apiVersion: " + group + "\nkind: " + kind + "\n" + rest
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		tb.Fatalf("parse %s: %v", text, err)
	}
	u := &unstructured.Unstructured{Object: content}
	if u.GetName() == "" {
		u.SetName("it")
	}
	if u.GetNamespace() == "" {
		u.SetNamespace("team")
	}
	return u
}

// condition writes one condition that has its status for the given time.
func condition(kind, status, reason string, ago time.Duration) string {
	return "{type: " + kind + ", status: '" + status + "', reason: " + reason + ", message: it says so, lastTransitionTime: '" + now.Add(-ago).Format(time.RFC3339) + "'}"
}

func TestOf(t *testing.T) {
	const minute = time.Minute
	vm := func(policy, phase string, conditions ...string) string {
		return "spec: {runPolicy: " + policy + "}\nstatus: {phase: " + phase + ", conditions: [" + strings.Join(conditions, ",") + "]}"
	}
	phase := func(p string, conditions ...string) string {
		return "status: {phase: " + p + ", conditions: [" + strings.Join(conditions, ",") + "]}"
	}
	tests := map[string]struct {
		kind, rest string
		want       health.State
		reason     string
	}{
		"image ready":                       {"VirtualImage", phase("Ready"), health.Healthy, ""},
		"image just made":                   {"VirtualImage", "", health.Progressing, health.ReasonNotObserved},
		"image not observed since a change": {"VirtualImage", "metadata: {generation: 2}\nstatus: {phase: Ready, observedGeneration: 1}", health.Progressing, health.ReasonNotObserved},
		"image pending":                     {"VirtualImage", phase("Pending", condition("Ready", "False", "ProvisioningNotStarted", minute)), health.Progressing, "ProvisioningNotStarted"},
		"image provisioning":                {"ClusterVirtualImage", phase("Provisioning", condition("Ready", "False", "Provisioning", minute)), health.Progressing, "Provisioning"},
		"image stands still":                {"VirtualImage", phase("Provisioning", condition("Ready", "False", "Provisioning", 20*minute)), health.Degraded, health.ReasonStandsStill},
		"image cannot be imported":          {"VirtualImage", phase("Provisioning", condition("Ready", "False", "ProvisioningFailed", minute)), health.Degraded, "ProvisioningFailed"},
		"image waits for an upload":         {"VirtualImage", phase("WaitForUserUpload"), health.Suspended, "WaitForUserUpload"},
		"image failed":                      {"VirtualImage", phase("Failed"), health.Degraded, "Failed"},
		"image lost":                        {"ClusterVirtualImage", phase("ImageLost"), health.Degraded, "ImageLost"},
		"image lost its claim":              {"VirtualImage", phase("PVCLost"), health.Degraded, "PVCLost"},
		"image waits for its source":        {"VirtualImage", phase("Pending", condition("DatasourceReady", "False", "ImageNotReady", minute)), health.Progressing, "ImageNotReady"},
		"image waits for its source, long":  {"VirtualImage", phase("Pending", condition("DatasourceReady", "False", "ImageNotReady", 20*minute)), health.Degraded, health.ReasonDependency},
		"image being deleted":               {"VirtualImage", "metadata: {deletionTimestamp: '2026-05-01T11:00:00Z'}\n" + phase("Ready"), health.Progressing, health.ReasonTerminating},
		"disk ready":                        {"VirtualDisk", phase("Ready"), health.Healthy, ""},
		"disk without a consumer":           {"VirtualDisk", phase("WaitForFirstConsumer"), health.Healthy, "WaitForFirstConsumer"},
		"disk pending":                      {"VirtualDisk", phase("Pending"), health.Progressing, "Pending"},
		"disk provisioning":                 {"VirtualDisk", phase("Provisioning"), health.Progressing, "Provisioning"},
		"disk resizing":                     {"VirtualDisk", phase("Resizing"), health.Progressing, "Resizing"},
		"disk migrating":                    {"VirtualDisk", phase("Migrating"), health.Progressing, "Migrating"},
		"disk exporting":                    {"VirtualDisk", phase("Exporting"), health.Progressing, "Exporting"},
		"disk waits for an upload":          {"VirtualDisk", phase("WaitForUserUpload"), health.Suspended, "WaitForUserUpload"},
		"disk failed":                       {"VirtualDisk", phase("Failed"), health.Degraded, "Failed"},
		"disk lost its claim":               {"VirtualDisk", phase("PVCLost"), health.Degraded, "PVCLost"},
		"disk beyond the quota":             {"VirtualDisk", phase("Pending", condition("Ready", "False", "QuotaExceeded", minute)), health.Degraded, "QuotaExceeded"},
		"machine just made":                 {"VirtualMachine", "spec: {runPolicy: AlwaysOn}", health.Progressing, health.ReasonNotObserved},
		"machine runs":                      {"VirtualMachine", vm("AlwaysOn", "Running"), health.Healthy, ""},
		"machine runs, policy not said":     {"VirtualMachine", phase("Running"), health.Healthy, ""},
		"machine runs an old configuration": {"VirtualMachine", vm("AlwaysOn", "Running", condition("ConfigurationApplied", "False", "ConfigurationNotApplied", minute)), health.Progressing, "ConfigurationNotApplied"},
		"machine needs a restart":           {"VirtualMachine", vm("AlwaysOn", "Running", condition("AwaitingRestartToApplyConfiguration", "True", "ChangesPendingRestart", minute), condition("ConfigurationApplied", "False", "ConfigurationNotApplied", minute)), health.Progressing, health.ReasonAwaitingRestart},
		"machine lists changes":             {"VirtualMachine", "status: {phase: Running, restartAwaitingChanges: [{operation: replace, path: cpu.cores}]}", health.Progressing, health.ReasonAwaitingRestart},
		"machine runs and is to be off":     {"VirtualMachine", vm("AlwaysOff", "Running"), health.Progressing, "Running"},
		"machine off, AlwaysOff":            {"VirtualMachine", vm("AlwaysOff", "Stopped"), health.Healthy, ""},
		"machine off, Manual":               {"VirtualMachine", vm("Manual", "Stopped"), health.Healthy, ""},
		"machine stopped by hand":           {"VirtualMachine", vm("AlwaysOnUnlessStoppedManually", "Stopped"), health.Healthy, ""},
		"machine off, AlwaysOn":             {"VirtualMachine", vm("AlwaysOn", "Stopped"), health.Progressing, "Stopped"},
		"machine pending":                   {"VirtualMachine", vm("AlwaysOn", "Pending"), health.Progressing, "Pending"},
		"machine starting":                  {"VirtualMachine", vm("AlwaysOn", "Starting"), health.Progressing, "Starting"},
		"machine migrating":                 {"VirtualMachine", vm("AlwaysOn", "Migrating"), health.Progressing, "Migrating"},
		"machine stopping":                  {"VirtualMachine", vm("AlwaysOff", "Stopping"), health.Progressing, "Stopping"},
		"machine paused":                    {"VirtualMachine", vm("AlwaysOn", "Pause"), health.Suspended, "Paused"},
		"machine degraded":                  {"VirtualMachine", vm("AlwaysOn", "Degraded"), health.Degraded, "Degraded"},
		"machine cannot run":                {"VirtualMachine", vm("AlwaysOn", "Pending", condition("Running", "False", "InternalVirtualMachineError", minute)), health.Degraded, "InternalVirtualMachineError"},
		"machine has nothing to boot":       {"VirtualMachine", vm("AlwaysOn", "Running", condition("Running", "False", "NoBootableDevice", minute)), health.Degraded, "NoBootableDevice"},
		"machine outside of its class":      {"VirtualMachine", vm("AlwaysOn", "Pending", condition("SizingPolicyMatched", "False", "SizingPolicyNotMatched", minute)), health.Degraded, "SizingPolicyNotMatched"},
		"machine waits for its class":       {"VirtualMachine", vm("AlwaysOn", "Pending", condition("VirtualMachineClassReady", "False", "VirtualMachineClassNotReady", minute)), health.Progressing, "VirtualMachineClassNotReady"},
		"machine waits for its class, long": {"VirtualMachine", vm("AlwaysOn", "Pending", condition("VirtualMachineClassReady", "False", "VirtualMachineClassNotReady", 5*minute)), health.Degraded, health.ReasonDependency},
		"machine waits for its disks, long": {"VirtualMachine", vm("AlwaysOn", "Pending", condition("BlockDevicesReady", "False", "BlockDevicesNotReady", 5*minute)), health.Degraded, health.ReasonDependency},
		"machine is first consumer":         {"VirtualMachine", vm("AlwaysOn", "Starting", condition("BlockDevicesReady", "False", "WaitingForWaitForFirstConsumerBlockDevicesToBeReady", 5*minute)), health.Progressing, "Starting"},
		"machine waits for its address":     {"VirtualMachine", vm("AlwaysOn", "Pending", condition("VirtualMachineIPAddressReady", "False", "VirtualMachineIPAddressNotReady", 5*minute)), health.Degraded, health.ReasonDependency},
		"machine waits for first-boot data": {"VirtualMachine", vm("AlwaysOn", "Pending", condition("ProvisioningReady", "False", "ProvisioningNotReady", 5*minute)), health.Degraded, health.ReasonDependency},
		"class ready":                       {"VirtualMachineClass", phase("Ready"), health.Healthy, ""},
		"class pending":                     {"VirtualMachineClass", phase("Pending"), health.Progressing, "Pending"},
		"class without nodes":               {"VirtualMachineClass", phase("Pending", condition("Ready", "False", "NoSuitableNodesFound", minute)), health.Degraded, "NoSuitableNodesFound"},
		"class without features":            {"VirtualMachineClass", phase("Pending", condition("Ready", "False", "NoCpuFeaturesEnabled", minute)), health.Degraded, "NoCpuFeaturesEnabled"},
		"attachment attached":               {"VirtualMachineBlockDeviceAttachment", phase("Attached"), health.Healthy, ""},
		"attachment pending":                {"VirtualMachineBlockDeviceAttachment", phase("Pending"), health.Progressing, "Pending"},
		"attachment under way":              {"VirtualMachineBlockDeviceAttachment", phase("InProgress"), health.Progressing, "InProgress"},
		"attachment failed":                 {"VirtualMachineBlockDeviceAttachment", phase("Failed", condition("Attached", "False", "Conflict", minute)), health.Degraded, "Conflict"},
		"operation completed":               {"VirtualMachineOperation", phase("Completed"), health.Healthy, ""},
		"operation superseded":              {"VirtualMachineOperation", phase("Superseded"), health.Healthy, ""},
		"operation pending":                 {"VirtualMachineOperation", phase("Pending"), health.Progressing, "Pending"},
		"operation under way":               {"VirtualMachineSnapshotOperation", phase("InProgress"), health.Progressing, "InProgress"},
		"operation failed":                  {"VirtualMachineOperation", phase("Failed", condition("Completed", "False", "OperationFailed", minute)), health.Degraded, "OperationFailed"},
		"snapshot ready":                    {"VirtualMachineSnapshot", phase("Ready"), health.Healthy, ""},
		"snapshot under way":                {"VirtualDiskSnapshot", phase("InProgress"), health.Progressing, "InProgress"},
		"snapshot failed":                   {"VirtualDiskSnapshot", phase("Failed"), health.Degraded, "Failed"},
		"restore ready":                     {"VirtualMachineRestore", phase("Ready"), health.Healthy, ""},
		"restore pending":                   {"VirtualMachineRestore", phase("Pending"), health.Progressing, "Pending"},
		"address bound":                     {"VirtualMachineIPAddress", phase("Bound"), health.Healthy, ""},
		"address attached":                  {"VirtualMachineMACAddress", phase("Attached"), health.Healthy, ""},
		"address pending":                   {"VirtualMachineIPAddress", phase("Pending"), health.Progressing, "Pending"},
		"address out of range":              {"VirtualMachineIPAddress", phase("Pending", condition("Bound", "False", "VirtualMachineIPAddressIsOutOfTheValidRange", minute)), health.Degraded, "VirtualMachineIPAddressIsOutOfTheValidRange"},
		"address taken":                     {"VirtualMachineIPAddress", phase("Pending", condition("Bound", "False", "VirtualMachineIPAddressLeaseAlreadyExists", minute)), health.Degraded, "VirtualMachineIPAddressLeaseAlreadyExists"},
		"what a controller refuses":         {"VirtualMachineBlockDeviceAttachment", phase("Pending", condition("Attached", "False", "NotSupported", minute)), health.Degraded, "NotSupported"},
		"lease bound":                       {"VirtualMachineIPAddressLease", phase("Bound"), health.Healthy, ""},
		"lease released":                    {"VirtualMachineIPAddressLease", phase("Released"), health.Progressing, "Released"},
		"KubeVirt machine runs":             {"kubevirt.io/v1 VirtualMachine", "spec: {runStrategy: Always}\nstatus: {printableStatus: Running}", health.Healthy, ""},
		"KubeVirt machine off on purpose":   {"kubevirt.io/v1 VirtualMachine", "spec: {runStrategy: Halted}\nstatus: {printableStatus: Stopped}", health.Healthy, ""},
		"KubeVirt machine off and to run":   {"kubevirt.io/v1 VirtualMachine", "spec: {runStrategy: Always}\nstatus: {printableStatus: Stopped}", health.Progressing, "Stopped"},
		"KubeVirt machine just made":        {"kubevirt.io/v1 VirtualMachine", "spec: {runStrategy: Always}", health.Progressing, health.ReasonNotObserved},
		"KubeVirt machine paused":           {"kubevirt.io/v1 VirtualMachine", "status: {printableStatus: Paused}", health.Suspended, "Paused"},
		"KubeVirt machine in a loop":        {"kubevirt.io/v1 VirtualMachine", "status: {printableStatus: CrashLoopBackOff}", health.Degraded, "CrashLoopBackOff"},
		"KubeVirt machine needs a restart":  {"kubevirt.io/v1 VirtualMachine", "status: {printableStatus: Running, conditions: [" + condition("RestartRequired", "True", "RestartRequired", minute) + "]}", health.Progressing, health.ReasonAwaitingRestart},
		"KubeVirt instance runs":            {"kubevirt.io/v1 VirtualMachineInstance", phase("Running"), health.Healthy, ""},
		"KubeVirt instance paused":          {"kubevirt.io/v1 VirtualMachineInstance", phase("Running", condition("Paused", "True", "PausedByUser", minute)), health.Suspended, "Paused"},
		"KubeVirt instance failed":          {"kubevirt.io/v1 VirtualMachineInstance", phase("Failed"), health.Degraded, "Failed"},
		"DataVolume filled":                 {"cdi.kubevirt.io/v1beta1 DataVolume", phase("Succeeded"), health.Healthy, ""},
		"DataVolume filling":                {"cdi.kubevirt.io/v1beta1 DataVolume", phase("ImportInProgress"), health.Progressing, "ImportInProgress"},
		"DataVolume with a bad URL":         {"cdi.kubevirt.io/v1beta1 DataVolume", phase("ImportInProgress", condition("Running", "False", "Error", minute)), health.Degraded, "Error"},
		"DataVolume failed":                 {"cdi.kubevirt.io/v1beta1 DataVolume", phase("Failed"), health.Degraded, "Failed"},
		"DataVolume without a consumer":     {"cdi.kubevirt.io/v1beta1 DataVolume", phase("WaitForFirstConsumer"), health.Healthy, "WaitForFirstConsumer"},
		"another kind, nothing to wait for": {"v1 ConfigMap", "data: {a: b}", health.Healthy, ""},
		"another kind that is not ready":    {"example.com/v1 Thing", "status: {conditions: [" + condition("Ready", "False", "Busy", minute) + "]}", health.Progressing, "InProgress"},
		"another kind that stalled":         {"example.com/v1 Thing", "status: {conditions: [" + condition("Stalled", "True", "Broken", minute) + "]}", health.Degraded, "Failed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := health.Of(object(t, test.kind, test.rest), now)
			if got.State != test.want || got.Reason != test.reason {
				t.Errorf("health = %s %q (%s), want %s %q", got.State, got.Reason, got.Message, test.want, test.reason)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	image := object(t, "VirtualImage", "metadata: {creationTimestamp: '2026-05-01T11:00:00Z', managedFields: [{manager: slipway-image, operation: Update, subresource: status, time: '2026-05-01T11:58:00Z'}]}\nstatus: {phase: Provisioning, progress: 12%}")
	moved := now.Add(-2 * time.Minute)
	got := health.Of(image, now)
	if got.State != health.Progressing || !got.Deadline.Equal(moved.Add(health.StandstillLimit)) {
		t.Errorf("health = %s until %s, want Progressing until %s", got.State, got.Deadline, moved.Add(health.StandstillLimit))
	}
	if late := health.Of(image, got.Deadline); late.State != health.Degraded || late.Reason != health.ReasonStandsStill {
		t.Errorf("at the deadline: %s %q, want Degraded", late.State, late.Reason)
	}
}

func TestJudgeTogether(t *testing.T) {
	long := 30 * time.Minute
	waiting := "metadata: {name: web}\nspec: {blockDeviceRefs: [{kind: VirtualDisk, name: root}]}\nstatus: {phase: Pending, conditions: [" + condition("BlockDevicesReady", "False", "BlockDevicesNotReady", long) + "]}"
	disk := func(phase string) string {
		return "metadata: {name: root}\nspec: {dataSource: {objectRef: {kind: VirtualImage, name: base}}}\nstatus: {phase: " + phase + ", conditions: [" + condition("DatasourceReady", "False", "ImageNotReady", long) + "]}"
	}
	tests := map[string]struct {
		objects map[string]string
		want    map[string]health.State
	}{
		"what waits for an import is not late": {
			objects: map[string]string{"VirtualMachine": waiting, "VirtualDisk": disk("Pending"), "VirtualImage": "metadata: {name: base}\nstatus: {phase: Provisioning, conditions: [" + condition("Ready", "False", "Provisioning", time.Minute) + "]}"},
			want:    map[string]health.State{"VirtualMachine": health.Progressing, "VirtualDisk": health.Progressing, "VirtualImage": health.Progressing},
		},
		"what waits for an import that stands still is late": {
			objects: map[string]string{"VirtualMachine": waiting, "VirtualDisk": disk("Pending"), "VirtualImage": "metadata: {name: base}\nstatus: {phase: Provisioning, conditions: [" + condition("Ready", "False", "Provisioning", long) + "]}"},
			want:    map[string]health.State{"VirtualMachine": health.Degraded, "VirtualDisk": health.Degraded, "VirtualImage": health.Degraded},
		},
		"what waits for something that is not there is late": {
			objects: map[string]string{"VirtualMachine": waiting},
			want:    map[string]health.State{"VirtualMachine": health.Degraded},
		},
		"a disk with a consumer is on its way": {
			objects: map[string]string{"VirtualMachine": waiting, "VirtualDisk": "metadata: {name: root}\nstatus: {phase: WaitForFirstConsumer}"},
			want:    map[string]health.State{"VirtualMachine": health.Progressing, "VirtualDisk": health.Progressing},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var objects []*unstructured.Unstructured
			for kind, rest := range test.objects {
				objects = append(objects, object(t, kind, rest))
			}
			got := map[string]health.State{}
			for key, h := range health.Judge(objects, nil, now) {
				got[key.Kind] = h.State
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWorks(t *testing.T) {
	tests := map[string]struct {
		health health.Health
		works  bool
	}{
		"healthy":          {health.Health{State: health.Healthy}, true},
		"suspended":        {health.Health{State: health.Suspended}, true},
		"awaiting restart": {health.Health{State: health.Progressing, Reason: health.ReasonAwaitingRestart}, true},
		"progressing":      {health.Health{State: health.Progressing}, false},
		"degraded":         {health.Health{State: health.Degraded}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.health.Works(); got != test.works {
				t.Errorf("Works = %v, want %v", got, test.works)
			}
		})
	}
}

package machine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

const (
	start = kubevirtv1.StartRequest
	stop  = kubevirtv1.StopRequest
)

type actions = []kubevirtv1.StateChangeRequestAction

func (w *world) expectRequests(want ...kubevirtv1.StateChangeRequestAction) {
	w.t.Helper()
	if got := w.requests(); !slices.Equal(got, want) {
		w.t.Fatalf("requests %v, want %v; conditions %+v", got, want, w.vm.Status.Conditions)
	}
}

func (w *world) expectPhase(want v1alpha2.MachinePhase) {
	w.t.Helper()
	if w.vm.Status.Phase != want {
		w.t.Fatalf("phase %s, want %s; conditions %+v", w.vm.Status.Phase, want, w.vm.Status.Conditions)
	}
}

func (w *world) expectCondition(conditionType, want string) {
	w.t.Helper()
	if got := w.condition(conditionType); got != want {
		w.t.Errorf("condition %s is %q, want %q", conditionType, got, want)
	}
}

func TestMachineRuns(t *testing.T) {
	w := newWorld(t, nil, everything()...)
	w.settle()
	w.expectRequests(start)
	w.expectPhase(v1alpha2.MachinePending)
	w.obey()
	w.settle()
	w.expectPhase(v1alpha2.MachineRunning)
	w.expectRequests()
	got := map[string]string{}
	for _, c := range w.vm.Status.Conditions {
		got[c.Type] = string(c.Status) + "/" + c.Reason
	}
	want := map[string]string{
		"VirtualMachineIPAddressReady": "True/VirtualMachineIPAddressReady",
		"VirtualMachineClassReady":     "True/VirtualMachineClassReady",
		"BlockDevicesReady":            "True/BlockDevicesReady",
		"ProvisioningReady":            "True/ProvisioningReady",
		"ConfigurationApplied":         "True/ConfigurationApplied",
		"Running":                      "True/Running",
		"Migratable":                   "False/VirtualMachineNonMigratable",
		"AgentReady":                   "False/AgentNotReady",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	status := w.vm.Status
	devices := []v1alpha2.BlockDeviceStatusRef{{Kind: v1alpha2.DiskDevice, Name: "root", Size: "1Gi", Attached: true, Target: "sda"}}
	if diff := cmp.Diff(devices, status.BlockDeviceRefs); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if status.NodeName != "node" || status.IPAddress != "10.66.10.5" || status.VirtualMachineIPAddressName != address.OwnName(w.vm) || status.Resources.CPU.Cores != 2 {
		t.Errorf("status %+v", status)
	}
	w.updateInstance(func(i *kubevirtv1.VirtualMachineInstance) {
		i.Status.Conditions = []kubevirtv1.VirtualMachineInstanceCondition{{Type: kubevirtv1.VirtualMachineInstanceAgentConnected, Status: corev1.ConditionTrue}}
		i.Status.GuestOSInfo.ID = "debian"
		i.Status.MigrationState = &kubevirtv1.VirtualMachineInstanceMigrationState{TargetNode: "n2", Completed: true}
	})
	w.settle()
	w.expectCondition(vmcondition.AgentReadyType, "True/AgentReady")
	if m := w.vm.Status.MigrationState; m == nil || m.Target.Node != "n2" || m.Result != v1alpha2.MigrationSucceeded {
		t.Errorf("last move %+v", m)
	}
	if w.vm.Status.GuestOSInfo.ID != "debian" {
		t.Errorf("guest %+v", w.vm.Status.GuestOSInfo)
	}
}

// TestMissing has a row for everything that a machine can lack: it waits with a
// condition that says what, and starts by itself when that comes.
func TestMissing(t *testing.T) {
	without := func(kind string) []client.Object {
		return slices.DeleteFunc(everything(), func(o client.Object) bool { return fmt.Sprintf("%T", o) == "*v1alpha2."+kind })
	}
	with := func(kind string, edited client.Object) []client.Object { return append(without(kind), edited) }
	disk := func(edit func(*v1alpha2.VirtualDisk)) *v1alpha2.VirtualDisk {
		d := rootDisk()
		edit(d)
		return d
	}
	boot := func(kind v1alpha2.BlockDeviceKind) func(*v1alpha2.VirtualMachine) {
		return func(vm *v1alpha2.VirtualMachine) {
			vm.Spec.BlockDeviceRefs = append(vm.Spec.BlockDeviceRefs, v1alpha2.BlockDeviceSpecRef{Kind: kind, Name: "tools"})
		}
	}
	userData := func(vm *v1alpha2.VirtualMachine) {
		vm.Spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserDataRef, UserDataRef: &v1alpha2.UserDataRef{Kind: "Secret", Name: "init"}}
	}
	secret := func(kind corev1.SecretType, key string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "init"}, Type: kind, Data: map[string][]byte{key: []byte("#cloud-config")}}
	}
	image := &v1alpha2.VirtualImage{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tools", UID: "tools"},
		Status:     v1alpha2.VirtualImageStatus{Phase: v1alpha2.ImageReady, Target: v1alpha2.VirtualImageTarget{RegistryURL: "dvcr.local/vi/shop/tools:tools"}},
	}
	provisioning := image.DeepCopy()
	provisioning.Status.Phase = v1alpha2.ImageProvisioning
	clusterImage := &v1alpha2.ClusterVirtualImage{
		ObjectMeta: metav1.ObjectMeta{Name: "tools", UID: "tools"},
		Status:     v1alpha2.ClusterVirtualImageStatus{Phase: v1alpha2.ImageReady, Target: v1alpha2.ClusterVirtualImageTarget{RegistryURL: "dvcr.local/cvi/tools:tools"}},
	}
	pendingClass, goingClass, tinyClass := genericClass(), genericClass(), genericClass()
	pendingClass.Status.Phase = v1alpha2.ClassPending
	goingClass.DeletionTimestamp, goingClass.Finalizers = &metav1.Time{Time: epoch}, []string{"x/y"}
	tinyClass.Spec.SizingPolicies[0].Cores.Max = 1
	taken := ownAddress()
	taken.Status.VirtualMachineName = "other"
	unbound := ownAddress()
	unbound.Status = v1alpha2.VirtualMachineIPAddressStatus{Phase: v1alpha2.AddressPending, VirtualMachineName: "web"}

	const blockDevices, class, ip, first = vmcondition.BlockDevicesReadyType, vmcondition.VirtualMachineClassReadyType, vmcondition.VirtualMachineIPAddressReadyType, vmcondition.ProvisioningReadyType
	tests := map[string]struct {
		edit      func(*v1alpha2.VirtualMachine)
		objects   []client.Object
		condition string
		want      string
		// cure is what comes in the end.
		cure client.Object
	}{
		"no class":              {objects: without("VirtualMachineClass"), condition: class, want: "False/VirtualMachineClassNotReady", cure: genericClass()},
		"class that waits":      {objects: with("VirtualMachineClass", pendingClass), condition: class, want: "False/VirtualMachineClassNotReady", cure: genericClass()},
		"class that goes":       {objects: with("VirtualMachineClass", goingClass), condition: vmcondition.SizingPolicyMatchedType, want: "False/VirtualMachineClassTerminating"},
		"no class, no size":     {objects: without("VirtualMachineClass"), condition: vmcondition.SizingPolicyMatchedType, want: "False/VirtualMachineClassNotFound", cure: genericClass()},
		"size that is not":      {objects: with("VirtualMachineClass", tinyClass), condition: vmcondition.SizingPolicyMatchedType, want: "False/SizingPolicyNotMatched", cure: genericClass()},
		"no disk":               {objects: without("VirtualDisk"), condition: blockDevices, want: "False/BlockDevicesNotReady", cure: rootDisk()},
		"disk that failed":      {objects: with("VirtualDisk", disk(func(d *v1alpha2.VirtualDisk) { d.Status.Phase = v1alpha2.DiskFailed })), condition: blockDevices, want: "False/BlockDevicesNotReady", cure: rootDisk()},
		"disk without a volume": {objects: with("VirtualDisk", disk(func(d *v1alpha2.VirtualDisk) { d.Status.Target.PersistentVolumeClaimName = "" })), condition: blockDevices, want: "False/BlockDevicesNotReady", cure: rootDisk()},
		"disk of another": {
			objects:   with("VirtualDisk", disk(func(d *v1alpha2.VirtualDisk) { d.Status.AttachedToVirtualMachines[0].Name = "other" })),
			condition: blockDevices, want: "False/BlockDevicesNotReady", cure: rootDisk(),
		},
		"disk not given yet": {
			objects:   with("VirtualDisk", disk(func(d *v1alpha2.VirtualDisk) { d.Status.AttachedToVirtualMachines[0].Mounted = false })),
			condition: blockDevices, want: "True/BlockDevicesReady", cure: rootDisk(),
		},
		"no image":                  {edit: boot(v1alpha2.ImageDevice), objects: everything(), condition: blockDevices, want: "False/BlockDevicesNotReady", cure: image},
		"image in the making":       {edit: boot(v1alpha2.ImageDevice), objects: append(everything(), provisioning), condition: blockDevices, want: "False/BlockDevicesNotReady", cure: image},
		"no cluster image":          {edit: boot(v1alpha2.ClusterImageDevice), objects: everything(), condition: blockDevices, want: "False/BlockDevicesNotReady", cure: clusterImage},
		"no secret":                 {edit: userData, objects: everything(), condition: first, want: "False/ProvisioningNotReady", cure: secret(v1alpha2.SecretTypeCloudInit, "userData")},
		"secret of another type":    {edit: userData, objects: append(everything(), secret("Opaque", "userData")), condition: first, want: "False/ProvisioningNotReady", cure: secret(v1alpha2.SecretTypeCloudInit, "userdata")},
		"secret with another key":   {edit: userData, objects: append(everything(), secret(v1alpha2.SecretTypeCloudInit, "data")), condition: first, want: "False/ProvisioningNotReady", cure: secret(v1alpha2.SecretTypeCloudInit, "userData")},
		"address of another":        {objects: with("VirtualMachineIPAddress", taken), condition: ip, want: "False/VirtualMachineIPAddressNotAvailable", cure: ownAddress()},
		"address without an IP":     {objects: with("VirtualMachineIPAddress", unbound), condition: ip, want: "False/VirtualMachineIPAddressNotReady", cure: ownAddress()},
		"named address that is not": {edit: func(vm *v1alpha2.VirtualMachine) { vm.Spec.VirtualMachineIPAddressName = "named" }, objects: everything(), condition: ip, want: "False/VirtualMachineIPAddressNotReady"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.edit, test.objects...)
			w.settle()
			w.expectPhase(v1alpha2.MachinePending)
			w.expectRequests()
			w.expectCondition(test.condition, test.want)
			if test.cure == nil {
				return
			}
			cure := test.cure.DeepCopyObject().(client.Object)
			if err := w.client.Delete(t.Context(), cure); client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			w.create(cure)
			w.settle()
			w.expectRequests(start)
		})
	}
}

func TestAddressIsMade(t *testing.T) {
	w := newWorld(t, nil, genericClass(), rootDisk())
	w.settle()
	made := &v1alpha2.VirtualMachineIPAddress{}
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: address.OwnName(w.vm)}, made); err != nil {
		t.Fatal(err)
	}
	if made.Spec.Type != v1alpha2.IPAddressAuto || !metav1.IsControlledBy(made, w.vm) {
		t.Errorf("address %+v", made)
	}
	w.expectPhase(v1alpha2.MachinePending)
}

func TestImagesArePulledWithASecret(t *testing.T) {
	image := &v1alpha2.VirtualImage{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tools", UID: "tools"},
		Status:     v1alpha2.VirtualImageStatus{Phase: v1alpha2.ImageReady, CDROM: true, Target: v1alpha2.VirtualImageTarget{RegistryURL: "dvcr.local/vi/shop/tools:tools"}},
	}
	w := newWorld(t, func(vm *v1alpha2.VirtualMachine) {
		vm.Spec.BlockDeviceRefs = append(vm.Spec.BlockDeviceRefs, v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.ImageDevice, Name: "tools"})
	}, append(everything(), image)...)
	w.settle()
	source := w.engine().Spec.Template.Spec.Volumes[1].ContainerDisk
	if source == nil || source.Image != "dvcr.local/vi/shop/tools:tools" {
		t.Fatalf("volume %+v", w.engine().Spec.Template.Spec.Volumes[1])
	}
	secret := &corev1.Secret{}
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: source.ImagePullSecret}, secret); err != nil {
		t.Fatal(err)
	}
	want := `{"auths":{"dvcr.local":{"username":"reader.shop","password":"secret"}}}`
	if got := string(secret.Data[corev1.DockerConfigJsonKey]); got != want || secret.Type != corev1.SecretTypeDockerConfigJson {
		t.Errorf("secret of type %s: %s", secret.Type, got)
	}
}

// TestPolicies runs the power table through the reconciler: how a machine
// begins, and what follows when its guest is gone.
func TestPolicies(t *testing.T) {
	gone := func(w *world) { w.delete(w.instance()) }
	shutDown := func(w *world) { w.end(kubevirtv1.Succeeded, "GuestShutdown") }
	reset := func(w *world) { w.end(kubevirtv1.Succeeded, "GuestReset") }
	died := func(w *world) { w.end(kubevirtv1.Failed, "Crashed") }
	tests := map[string]struct {
		policy  v1alpha2.RunPolicy
		happens func(*world)
		want    actions
		phase   v1alpha2.MachinePhase
	}{
		"always on, gone":          {v1alpha2.AlwaysOnPolicy, gone, actions{start}, v1alpha2.MachineStarting},
		"always on, shut down":     {v1alpha2.AlwaysOnPolicy, shutDown, actions{stop, start}, v1alpha2.MachineStarting},
		"always on, reset":         {v1alpha2.AlwaysOnPolicy, reset, actions{stop, start}, v1alpha2.MachineStarting},
		"always on, died":          {v1alpha2.AlwaysOnPolicy, died, actions{stop, start}, v1alpha2.MachineStarting},
		"manual, gone":             {v1alpha2.ManualPolicy, gone, nil, v1alpha2.MachineStopped},
		"manual, shut down":        {v1alpha2.ManualPolicy, shutDown, nil, v1alpha2.MachineStopped},
		"manual, reset":            {v1alpha2.ManualPolicy, reset, actions{stop, start}, v1alpha2.MachineStarting},
		"manual, died":             {v1alpha2.ManualPolicy, died, nil, v1alpha2.MachineStopped},
		"unless stopped, gone":     {v1alpha2.AlwaysOnUnlessStoppedManually, gone, nil, v1alpha2.MachineStopped},
		"unless stopped, shutdown": {v1alpha2.AlwaysOnUnlessStoppedManually, shutDown, nil, v1alpha2.MachineStopped},
		"unless stopped, reset":    {v1alpha2.AlwaysOnUnlessStoppedManually, reset, actions{stop, start}, v1alpha2.MachineStarting},
		"unless stopped, died":     {v1alpha2.AlwaysOnUnlessStoppedManually, died, actions{stop, start}, v1alpha2.MachineStarting},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := running(t, nil)
			w.edit(func(vm *v1alpha2.VirtualMachine) { vm.Spec.RunPolicy = test.policy })
			w.settle()
			w.expectRequests()
			test.happens(w)
			w.updateEngine(func(e *kubevirtv1.VirtualMachine) { e.Status.PrintableStatus = kubevirtv1.VirtualMachineStatusStopped })
			w.settle()
			w.expectRequests(test.want...)
			w.expectPhase(test.phase)
		})
	}
}

func TestFirstStart(t *testing.T) {
	tests := map[v1alpha2.RunPolicy]actions{
		v1alpha2.AlwaysOffPolicy: nil, v1alpha2.ManualPolicy: nil,
		v1alpha2.AlwaysOnPolicy: {start}, v1alpha2.AlwaysOnUnlessStoppedManually: {start},
	}
	for policy, want := range tests {
		t.Run(string(policy), func(t *testing.T) {
			w := newWorld(t, func(vm *v1alpha2.VirtualMachine) { vm.Spec.RunPolicy = policy }, everything()...)
			w.settle()
			w.expectRequests(want...)
		})
	}
}

func TestPolicyOffStopsAndBackStarts(t *testing.T) {
	w := running(t, nil)
	w.edit(func(vm *v1alpha2.VirtualMachine) { vm.Spec.RunPolicy = v1alpha2.AlwaysOffPolicy })
	w.settle()
	w.expectRequests(stop)
	w.obey()
	w.settle()
	w.expectPhase(v1alpha2.MachineStopped)
	w.edit(func(vm *v1alpha2.VirtualMachine) { vm.Spec.RunPolicy = v1alpha2.AlwaysOnUnlessStoppedManually })
	w.settle()
	w.expectRequests(start)
}

func TestRequestedStart(t *testing.T) {
	w := newWorld(t, func(vm *v1alpha2.VirtualMachine) { vm.Spec.RunPolicy = v1alpha2.ManualPolicy }, everything()...)
	w.settle()
	w.annotate(startAnnotation, requested)
	w.settle()
	w.expectRequests(start)
	if w.startRequested() {
		t.Error("the request is still there after it was passed on")
	}
}

func TestRequestedStartWaitsForTheDisk(t *testing.T) {
	w := running(t, nil)
	w.delete(w.instance())
	w.updateEngine(func(e *kubevirtv1.VirtualMachine) { e.Status.PrintableStatus = kubevirtv1.VirtualMachineStatusStopped })
	disk := rootDisk()
	w.delete(disk)
	w.settle()
	w.expectPhase(v1alpha2.MachineStopped)
	w.annotate(startAnnotation, requested)
	w.settle()
	w.expectRequests()
	w.expectPhase(v1alpha2.MachinePending)
	w.create(rootDisk())
	w.settle()
	w.expectRequests(start)
}

func (w *world) startRequested() bool {
	_, asked := w.engine().Annotations[startAnnotation]
	return asked
}

func TestBriefLifeRests(t *testing.T) {
	w := running(t, func(vm *v1alpha2.VirtualMachine) { vm.Spec.RunPolicy = v1alpha2.AlwaysOnPolicy })
	w.delete(w.instance())
	w.settle()
	w.obey()
	w.end(kubevirtv1.Failed, "Crashed")
	result := w.settle()
	w.expectRequests()
	if result.RequeueAfter != 10*time.Second {
		t.Errorf("again after %s", result.RequeueAfter)
	}
	w.clock.SetTime(w.clock.Now().Add(10 * time.Second))
	w.settle()
	w.expectRequests(stop, start)
}

func cores(n int32) func(*v1alpha2.VirtualMachine) {
	return func(vm *v1alpha2.VirtualMachine) { vm.Spec.CPU.Cores = n }
}

func (w *world) templateCores() uint32 {
	w.t.Helper()
	return w.engine().Spec.Template.Spec.Domain.CPU.Cores
}

func TestChangeWaitsForApprovedRestart(t *testing.T) {
	w := running(t, nil)
	w.edit(cores(4))
	w.settle()
	w.expectRequests()
	w.expectPhase(v1alpha2.MachineRunning)
	w.expectCondition(vmcondition.AwaitingRestartToApplyConfigurationType, "True/ChangesPendingRestart")
	w.expectCondition(vmcondition.ConfigurationAppliedType, "False/ConfigurationNotApplied")
	if got := w.vm.Status.RestartAwaitingChanges; len(got) != 1 || got[0].Path != "cpu.cores" || string(got[0].DesiredValue.Raw) != "4" {
		t.Errorf("awaiting %+v", got)
	}
	if w.templateCores() != 2 || w.vm.Status.Resources.CPU.Cores != 2 {
		t.Error("the change was applied without approval")
	}
	if events := w.recorder.Drain(); !slices.ContainsFunc(events, func(e string) bool { return strings.Contains(e, eventAwaiting) }) {
		t.Errorf("events %q", events)
	}
	w.annotate(restartAnnotation, string(w.instance().UID))
	w.settle()
	w.expectRequests(stop, start)
	w.expectPhase(v1alpha2.MachineStopping)
	if w.templateCores() != 4 {
		t.Error("the restart does not bring the change")
	}
	w.obey()
	w.settle()
	w.expectPhase(v1alpha2.MachineRunning)
	w.expectRequests()
	w.expectCondition(vmcondition.AwaitingRestartToApplyConfigurationType, "")
	w.expectCondition(vmcondition.ConfigurationAppliedType, "True/ConfigurationApplied")
	if w.vm.Status.Resources.CPU.Cores != 4 || len(w.vm.Status.RestartAwaitingChanges) > 0 {
		t.Errorf("status %+v", w.vm.Status)
	}
	if w.launched != 2 {
		t.Errorf("%d instances were started, want 2", w.launched)
	}
}

func TestChangeTakenBackNeedsNoRestart(t *testing.T) {
	w := running(t, nil)
	w.edit(cores(4))
	w.settle()
	w.edit(cores(2))
	w.settle()
	w.expectCondition(vmcondition.AwaitingRestartToApplyConfigurationType, "")
	w.expectCondition(vmcondition.ConfigurationAppliedType, "True/ConfigurationApplied")
}

func TestAutomaticRestart(t *testing.T) {
	w := running(t, func(vm *v1alpha2.VirtualMachine) {
		vm.Spec.Disruptions = &v1alpha2.Disruptions{RestartApprovalMode: v1alpha2.RestartAutomatic}
	})
	w.edit(cores(4))
	w.settle()
	w.expectRequests(stop, start)
	w.obey()
	w.settle()
	w.expectRequests()
	if w.templateCores() != 4 || w.launched != 2 {
		t.Errorf("%d cores after %d starts", w.templateCores(), w.launched)
	}
}

func TestGuestResetBringsTheChange(t *testing.T) {
	w := running(t, nil)
	w.edit(cores(4))
	w.settle()
	w.end(kubevirtv1.Succeeded, reasonGuestReset)
	w.settle()
	w.expectRequests(stop, start)
	if w.templateCores() != 4 {
		t.Error("the guest starts again without the change")
	}
}

func TestChangeOfStoppedMachineIsAppliedAtOnce(t *testing.T) {
	w := running(t, nil)
	w.delete(w.instance())
	w.edit(cores(4))
	w.settle()
	w.expectRequests()
	w.expectCondition(vmcondition.ConfigurationAppliedType, "True/ConfigurationApplied")
	if w.templateCores() != 4 {
		t.Error("the change was not applied")
	}
}

func TestChangeOfStuckMachineIsAppliedAtOnce(t *testing.T) {
	w := running(t, nil)
	w.updateInstance(func(i *kubevirtv1.VirtualMachineInstance) { i.Status.Phase = kubevirtv1.Scheduling })
	w.updateEngine(func(e *kubevirtv1.VirtualMachine) {
		e.Status.PrintableStatus = kubevirtv1.VirtualMachineStatusUnschedulable
	})
	w.settle()
	w.expectPhase(v1alpha2.MachinePending)
	w.expectRequests()
	w.edit(cores(1))
	w.settle()
	w.expectRequests(stop, start)
	if w.templateCores() != 1 {
		t.Error("the change was not applied")
	}
}

func TestUnusableChangeHarmsNothing(t *testing.T) {
	w := running(t, func(vm *v1alpha2.VirtualMachine) {
		vm.Spec.Disruptions = &v1alpha2.Disruptions{RestartApprovalMode: v1alpha2.RestartAutomatic}
	})
	before := w.engine().Spec
	w.edit(func(vm *v1alpha2.VirtualMachine) {
		vm.Spec.BlockDeviceRefs = append(vm.Spec.BlockDeviceRefs, v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.DiskDevice, Name: "missing"})
	})
	w.settle()
	w.expectRequests()
	w.expectPhase(v1alpha2.MachineRunning)
	w.expectCondition(vmcondition.BlockDevicesReadyType, "False/BlockDevicesNotReady")
	if diff := cmp.Diff(before, w.engine().Spec, cmp.Comparer(func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("the engine was changed:\n%s", diff)
	}
	w.edit(func(vm *v1alpha2.VirtualMachine) { vm.Spec.BlockDeviceRefs = vm.Spec.BlockDeviceRefs[:1] })
	w.settle()
	w.expectCondition(vmcondition.BlockDevicesReadyType, "True/BlockDevicesReady")
	w.expectCondition(vmcondition.ConfigurationAppliedType, "True/ConfigurationApplied")
}

func TestUnsupportedIsRefused(t *testing.T) {
	tests := map[string]struct {
		edit      func(*v1alpha2.VirtualMachine)
		condition string
		want      string
		message   string
	}{
		"additional network": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.Networks = []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkMain}, {Type: v1alpha2.NetworkNamespaced, Name: "lan"}}
			},
			condition: vmcondition.NetworkReadyType, want: "False/SDNModuleDisabled", message: "spec.networks[1]",
		},
		"USB device": {
			edit:      func(vm *v1alpha2.VirtualMachine) { vm.Spec.USBDevices = []v1alpha2.USBDeviceSpecRef{{Name: "key"}} },
			condition: vmcondition.ConfigurationAppliedType, want: "False/ConfigurationNotApplied", message: "spec.usbDevices",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.edit, everything()...)
			w.settle()
			w.expectPhase(v1alpha2.MachinePending)
			w.expectRequests()
			w.expectCondition(test.condition, test.want)
			i := slices.IndexFunc(w.vm.Status.Conditions, func(c metav1.Condition) bool { return c.Type == vmcondition.ConfigurationAppliedType })
			if message := w.vm.Status.Conditions[i].Message; !strings.Contains(message, test.message) {
				t.Errorf("message %q does not name %s", message, test.message)
			}
			w.edit(func(vm *v1alpha2.VirtualMachine) { vm.Spec.Networks, vm.Spec.USBDevices = nil, nil })
			w.settle()
			w.expectRequests(start)
			w.expectCondition(vmcondition.NetworkReadyType, "")
		})
	}
}

func TestMetadataFollows(t *testing.T) {
	w := running(t, func(vm *v1alpha2.VirtualMachine) {
		vm.Labels = map[string]string{"app": "web", "tier": "front"}
		vm.Annotations = map[string]string{"note": "one"}
	})
	foreign := w.instance()
	foreign.Labels["added"] = "by somebody"
	if err := w.client.Update(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	w.edit(func(vm *v1alpha2.VirtualMachine) {
		delete(vm.Labels, "tier")
		vm.Labels["app"] = "shop"
		vm.Labels["gitops.slipway.dev/environment"] = "prod"
		vm.Annotations["note"] = "two"
	})
	w.settle()
	for _, object := range []client.Object{w.engine(), w.instance()} {
		labels := object.GetLabels()
		_, tier := labels["tier"]
		_, internal := labels["gitops.slipway.dev/environment"]
		if labels["app"] != "shop" || tier || internal || object.GetAnnotations()["note"] != "two" {
			t.Errorf("%T has labels %v and note %q", object, labels, object.GetAnnotations()["note"])
		}
	}
	labels := w.instance().Labels
	if labels["added"] != "by somebody" || labels[kubevirt.NameLabel] != "web" {
		t.Errorf("labels of others went: %v", labels)
	}
	w.expectRequests()
	w.expectCondition(vmcondition.AwaitingRestartToApplyConfigurationType, "")
}

func TestDeletionWaitsForTheGuest(t *testing.T) {
	w := running(t, nil)
	w.delete(w.vm)
	w.settle()
	w.expectPhase(v1alpha2.MachineTerminating)
	if w.engine() != nil {
		t.Fatal("the KubeVirt machine stays")
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(w.vm), w.vm); err != nil {
		t.Fatalf("the machine went while its guest runs: %v", err)
	}
	w.delete(w.instance())
	if _, err := flowtest.Reconcile(t, w.client, w.reconciler, w.vm); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(w.vm), w.vm); !apierrors.IsNotFound(err) {
		t.Errorf("the machine stays: %v", err)
	}
}

func TestLostEngineIsMadeAgain(t *testing.T) {
	w := running(t, nil)
	w.delete(w.engine())
	w.settle()
	if w.engine() != nil {
		t.Fatal("the KubeVirt machine that is being deleted stays")
	}
	w.delete(w.instance())
	w.settle()
	w.expectRequests(start)
}

func TestSettledMachineIsNotWritten(t *testing.T) {
	w := running(t, nil)
	before := w.writes.count
	w.settle()
	if written := w.writes.count - before; written > 0 {
		t.Errorf("%d writes although nothing changed", written)
	}
}

// TestCutAnywhere cuts each write of a restart in turn. Whatever fails, the next
// runs bring the machine to the same end, with exactly one restart.
func TestCutAnywhere(t *testing.T) {
	for cut := 1; ; cut++ {
		w := running(t, func(vm *v1alpha2.VirtualMachine) {
			vm.Spec.Disruptions = &v1alpha2.Disruptions{RestartApprovalMode: v1alpha2.RestartAutomatic}
		})
		w.edit(cores(4))
		from := w.writes.count
		w.writes.failAt = from + cut
		for range 12 {
			if _, err := flowtest.Reconcile(t, w.client, w.reconciler, w.vm); err != nil && !errors.Is(err, errCut) {
				t.Fatal(err)
			}
		}
		w.expectRequests(stop, start)
		reached := w.writes.count >= w.writes.failAt
		w.writes.failAt = 0
		w.obey()
		w.settle()
		w.expectRequests()
		w.expectPhase(v1alpha2.MachineRunning)
		if w.templateCores() != 4 || w.launched != 2 {
			t.Fatalf("cut at write %d: %d cores after %d starts", cut, w.templateCores(), w.launched)
		}
		if !reached {
			return
		}
	}
}

func TestEngineThatRefusesIsTold(t *testing.T) {
	w := newWorld(t, nil, everything()...)
	w.settle()
	w.updateEngine(func(e *kubevirtv1.VirtualMachine) {
		e.Status.PrintableStatus = kubevirtv1.VirtualMachineStatusStopped
		e.Status.Conditions = []kubevirtv1.VirtualMachineCondition{{Type: kubevirtv1.VirtualMachineFailure, Status: corev1.ConditionTrue, Reason: "Unsupported", Message: "no such device"}}
	})
	w.settle()
	w.expectPhase(v1alpha2.MachinePending)
	w.expectCondition(vmcondition.RunningType, "False/InternalVirtualMachineError")
}

func TestStatsMeasureTheStart(t *testing.T) {
	w := newWorld(t, nil, genericClass(), ownAddress())
	w.settle()
	w.clock.SetTime(epoch.Add(3 * time.Second))
	w.create(rootDisk())
	w.settle()
	w.updateEngine(func(e *kubevirtv1.VirtualMachine) { e.Status.PrintableStatus = kubevirtv1.VirtualMachineStatusStarting })
	w.settle()
	w.clock.SetTime(epoch.Add(8 * time.Second))
	w.obey()
	w.settle()
	stats := w.vm.Status.Stats
	var phases []v1alpha2.MachinePhase
	for _, p := range stats.PhasesTransitions {
		phases = append(phases, p.Phase)
	}
	if diff := cmp.Diff([]v1alpha2.MachinePhase{v1alpha2.MachinePending, v1alpha2.MachineStarting, v1alpha2.MachineRunning}, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	took := stats.LaunchTimeDuration
	if took.WaitingForDependencies.Duration != 3*time.Second || took.VirtualMachineStarting.Duration != 5*time.Second {
		t.Errorf("durations %+v", took)
	}
}

package machine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
)

func machineOf(strategy virtv1.VirtualMachineRunStrategy) *virtv1.VirtualMachine {
	vm := &virtv1.VirtualMachine{}
	vm.Namespace, vm.Name, vm.UID, vm.Generation = "shop", "web", "5d6c1e5e-0000-4000-8000-000000000001", 3
	vm.Spec.RunStrategy = &strategy
	vm.Spec.Template = &virtv1.VirtualMachineInstanceTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": "x"}},
	}
	return vm
}

func instanceIn(phase virtv1.VirtualMachineInstancePhase, conditions ...virtv1.VirtualMachineInstanceCondition) *virtv1.VirtualMachineInstance {
	vmi := &virtv1.VirtualMachineInstance{}
	vmi.Status.Phase, vmi.Status.Conditions = phase, conditions
	return vmi
}

func unschedulable() virtv1.VirtualMachineInstanceCondition {
	return virtv1.VirtualMachineInstanceCondition{Type: podScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}
}

func blocked(reason string) virtv1.VirtualMachineInstanceCondition {
	return virtv1.VirtualMachineInstanceCondition{Type: virtv1.VirtualMachineInstanceSynchronized, Status: corev1.ConditionFalse, Reason: reason}
}

func TestPrintableStatus(t *testing.T) {
	gone := metav1.NewTime(time.Unix(1, 0))
	leaving := instanceIn(virtv1.Running)
	leaving.DeletionTimestamp = &gone
	deleted := machineOf(virtv1.RunStrategyManual)
	deleted.DeletionTimestamp = &gone
	tests := map[string]struct {
		view View
		want virtv1.VirtualMachinePrintableStatus
	}{
		"no instance":                {View{}, virtv1.VirtualMachineStatusStopped},
		"about to be created":        {View{Decision: Decision{Action: Create}}, virtv1.VirtualMachineStatusStarting},
		"it could not be created":    {View{Decision: Decision{Action: Create}, Failure: "quota"}, virtv1.VirtualMachineStatusStopped},
		"new":                        {View{Instance: instanceIn("")}, virtv1.VirtualMachineStatusStarting},
		"scheduled":                  {View{Instance: instanceIn(virtv1.Scheduled)}, virtv1.VirtualMachineStatusStarting},
		"running":                    {View{Instance: instanceIn(virtv1.Running)}, virtv1.VirtualMachineStatusRunning},
		"running, its claim missing": {View{Instance: instanceIn(virtv1.Running), Disk: DiskMissing}, virtv1.VirtualMachineStatusRunning},
		"stopping":                   {View{Instance: leaving}, virtv1.VirtualMachineStatusStopping},
		"deleted":                    {View{VM: deleted, Instance: leaving}, virtv1.VirtualMachineStatusTerminating},
		"powered off":                {View{Instance: instanceIn(virtv1.Succeeded)}, virtv1.VirtualMachineStatusStopped},
		"died":                       {View{Instance: instanceIn(virtv1.Failed)}, virtv1.VirtualMachineStatusStopped},
		"claim missing":              {View{Instance: instanceIn(virtv1.Pending), Disk: DiskMissing}, virtv1.VirtualMachineStatusPvcNotFound},
		"volume failed":              {View{Instance: instanceIn(virtv1.Pending), Disk: DiskFailed}, virtv1.VirtualMachineStatusDataVolumeError},
		"volume being filled":        {View{Instance: instanceIn(virtv1.Pending), Disk: DiskFilling}, virtv1.VirtualMachineStatusProvisioning},
		"claim unbound":              {View{Instance: instanceIn(virtv1.Pending), Disk: DiskUnbound}, virtv1.VirtualMachineStatusWaitingForVolumeBinding},
		"stopped, its claim missing": {View{Disk: DiskMissing}, virtv1.VirtualMachineStatusStopped},
		"no image":                   {View{Instance: instanceIn(virtv1.Scheduling, blocked("ErrImagePull"))}, virtv1.VirtualMachineStatusErrImagePull},
		"no node":                    {View{Instance: instanceIn(virtv1.Scheduling, unschedulable())}, virtv1.VirtualMachineStatusUnschedulable},
		"waits after failed starts":  {View{Decision: Decision{After: time.Second}}, virtv1.VirtualMachineStatusCrashLoopBackOff},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.view.VM == nil {
				tc.view.VM = machineOf(virtv1.RunStrategyManual)
			}
			if got := printable(tc.view); got != tc.want {
				t.Errorf("status %s, want %s", got, tc.want)
			}
		})
	}
}

func TestStatusFollowsTheInstance(t *testing.T) {
	vm := machineOf(virtv1.RunStrategyManual)
	vmi := build(vm)
	vmi.Status.Phase = virtv1.Running
	vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{
		{Type: virtv1.VirtualMachineInstanceReady, Status: corev1.ConditionTrue},
		{Type: virtv1.VirtualMachineInstanceDataVolumesReady, Status: corev1.ConditionTrue, Reason: "AllDVsReady"},
		{Type: virtv1.VirtualMachineInstanceAgentConnected, Status: corev1.ConditionTrue},
	}
	vm.Status.Conditions = []virtv1.VirtualMachineCondition{{Type: virtv1.VirtualMachineConditionType(podScheduled), Status: corev1.ConditionFalse}}
	running := Status(View{VM: vm, Instance: vmi})
	if !running.Created || !running.Ready || len(running.Conditions) != len(vmi.Status.Conditions) {
		t.Errorf("status %+v, want created, ready and the instance's conditions", running)
	}

	vm.Spec.Template.Spec.Hostname = "other"
	vm.Status = running
	changed := Status(View{VM: vm, Instance: vmi})
	if said(changed, virtv1.VirtualMachineRestartRequired) != "True " {
		t.Errorf("conditions %+v, want RestartRequired", changed.Conditions)
	}

	vm.Status = changed
	stopped := Status(View{VM: vm, Refused: []string{"spec.instancetype"}})
	if stopped.Created || stopped.Ready || said(stopped, virtv1.VirtualMachineReady) != "False VMINotExists" ||
		said(stopped, "DataVolumesReady") != "True AllDVsReady" || said(stopped, "AgentConnected") != "" || said(stopped, virtv1.VirtualMachineFailure) != "True Unsupported" || said(stopped, virtv1.VirtualMachineRestartRequired) != "" {
		t.Errorf("status %+v", stopped)
	}
}

func TestVolumeSnapshots(t *testing.T) {
	claim := func(volume, claim string) virtv1.Volume {
		return virtv1.Volume{Name: volume, VolumeSource: virtv1.VolumeSource{PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{
			PersistentVolumeClaimVolumeSource: corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}}
	}
	volumes := []virtv1.Volume{
		claim("root", "root-claim"),
		{Name: "data", VolumeSource: virtv1.VolumeSource{DataVolume: &virtv1.DataVolumeSource{Name: "data-claim"}}},
		claim("gone", "gone-claim"),
		{Name: "seed", VolumeSource: virtv1.VolumeSource{CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{}}},
	}
	storage := Storage{Class: map[string]string{"root-claim": "local", "data-claim": "other"}, Snapshotting: map[string]bool{"local": true}}
	want := []virtv1.VolumeSnapshotStatus{
		{Name: "root", Enabled: true},
		{Name: "data", Reason: "No VolumeSnapshotClass: Volume snapshots are not configured for this StorageClass [other] [data]"},
		{Name: "gone", Reason: "PVC not found"},
		{Name: "seed", Reason: "Snapshot is not supported for this volumeSource type [seed]"},
	}
	if diff := cmp.Diff(want, volumeSnapshots(volumes, storage)); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

func said(s virtv1.VirtualMachineStatus, kind virtv1.VirtualMachineConditionType) string {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return string(c.Status) + " " + c.Reason
		}
	}
	return ""
}

func TestBuildCopiesTheTemplateAndKeepsTheIdentity(t *testing.T) {
	vm := machineOf(virtv1.RunStrategyManual)
	vmi := build(vm)
	if vmi.Spec.Domain.Firmware.UUID != vm.UID || vm.Spec.Template.Spec.Domain.Firmware != nil {
		t.Errorf("firmware %+v, template %+v", vmi.Spec.Domain.Firmware, vm.Spec.Template.Spec.Domain.Firmware)
	}
	want := map[string]string{"note": "x", "kubevirt.io/vm-generation": "3", templateAnnotation: digest(vm.Spec.Template)}
	if diff := cmp.Diff(want, vmi.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"app": "web"}, vmi.Labels); diff != "" || !metav1.IsControlledBy(vmi, vm) {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	vm.Spec.Template.Spec.Domain.Firmware = &virtv1.Firmware{UUID: "own"}
	if got := build(vm).Spec.Domain.Firmware.UUID; got != "own" {
		t.Errorf("UUID %s, want the template's", got)
	}
}

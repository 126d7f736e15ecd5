package node_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/local/node/qemu"
)

const imageSize = 1 << 20

func image() disk.Source {
	return disk.NewStream(bytes.NewReader(bytes.Repeat([]byte("slipway "), imageSize/8)), imageSize)
}

func from(reference string) cdiv1.DataVolumeSource {
	return cdiv1.DataVolumeSource{Registry: &cdiv1.DataVolumeSourceRegistry{URL: &reference}}
}

var blank = cdiv1.DataVolumeSource{Blank: &cdiv1.DataVolumeBlankImage{}}

func succeeded(dv *cdiv1.DataVolume) bool {
	return dv.Status.Phase == cdiv1.Succeeded && dv.Status.Progress == "100.0%"
}

// runningReason is why the filling of a volume does not go on.
func runningReason(dv *cdiv1.DataVolume) string {
	for _, c := range dv.Status.Conditions {
		if c.Type == cdiv1.DataVolumeRunning && c.Status == corev1.ConditionFalse {
			return c.Reason
		}
	}
	return ""
}

func TestVolumesAreFilledSharedAndRemoved(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()

	early := w.dataVolume("early", "1Mi", from(w.reference("late")))
	await(w, early, "waiting for its image", func(dv *cdiv1.DataVolume) bool {
		return dv.Status.Phase == cdiv1.ImportInProgress && runningReason(dv) == "Error" && dv.Status.RestartCount > 0
	})
	reference := w.push("late", image())
	await(w, early, "filled once the image is there", succeeded)

	twin := w.dataVolume("twin", "8Mi", from(reference))
	await(w, twin, "filled", succeeded)
	if bases, _ := filepath.Glob(filepath.Join(w.dir, "node/images/*.raw")); len(bases) != 1 {
		t.Errorf("base images %v, want one that both volumes share", bases)
	}
	small := w.dataVolume("small", "512Ki", from(reference))
	await(w, small, "refused for its size", func(dv *cdiv1.DataVolume) bool { return runningReason(dv) == "VolumeTooSmall" })
	upload := w.dataVolume("upload", "1Mi", cdiv1.DataVolumeSource{Upload: &cdiv1.DataVolumeSourceUpload{}})
	await(w, upload, "refused for its source", func(dv *cdiv1.DataVolume) bool {
		return dv.Status.Phase == cdiv1.Failed && runningReason(dv) == "Unsupported"
	})

	plain := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "plain"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	must(t, w.client.Create(ctx, plain))
	await(w, plain, "bound", func(pvc *corev1.PersistentVolumeClaim) bool { return pvc.Status.Phase == corev1.ClaimBound })
	plain.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Mi")
	must(t, w.client.Update(ctx, plain))
	await(w, plain, "grown", func(pvc *corev1.PersistentVolumeClaim) bool {
		return pvc.Status.Capacity.Storage().Equal(resource.MustParse("2Mi"))
	})
	if !plain.Status.AllocatedResources.Storage().Equal(resource.MustParse("2Mi")) {
		t.Errorf("status %+v, want what was allocated", plain.Status)
	}
	if size, err := qemu.ImageSize(ctx, filepath.Join(w.dir, "node/volumes", string(plain.UID), "disk.qcow2")); err != nil || size != 2<<20 {
		t.Errorf("disk has %d bytes, %v; want 2 MiB", size, err)
	}

	for _, object := range []client.Object{early, twin, small, upload} {
		must(t, w.client.Delete(ctx, object))
		w.awaitGone(object)
		w.awaitGone(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: object.GetName()}})
	}
	must(t, w.client.Delete(ctx, plain))
	w.awaitGone(plain)
	for _, pattern := range []string{"images/*", "volumes/*"} {
		if left, _ := filepath.Glob(filepath.Join(w.dir, "node", pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestPower uses guests without a system: the firmware finds nothing to boot and waits.
func TestPower(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	vm := w.machine("box", virtv1.RunStrategyAlways, "data")
	await(w, vm, "waiting for its claim", printable(virtv1.VirtualMachineStatusPvcNotFound))
	w.dataVolume("data", "1Mi", blank)
	vmi := await(w, w.instanceOf(vm), "running", running)

	// A killed QEMU is a failure, and Always begins anew.
	kill(t, vmi)
	first := vmi.UID
	await(w, vmi, "a new one that runs", func(vmi *virtv1.VirtualMachineInstance) bool { return vmi.UID != first && running(vmi) })

	// A claim in use stays, whoever deletes it.
	pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "data"}}
	must(t, w.client.Delete(ctx, pvc))

	// Under Manual it stays failed until somebody asks.
	w.edit(vm, func() { vm.Spec.RunStrategy = ptr.To(virtv1.RunStrategyManual) })
	await(w, vm, "under Manual", func(vm *virtv1.VirtualMachine) bool { return vm.Status.RunStrategy == virtv1.RunStrategyManual })
	await(w, vmi, "running", running)
	kill(t, vmi)
	await(w, vmi, "failed", func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi.Status.Phase == virtv1.Failed && vmi.Status.Reason == "Crashed"
	})
	await(w, vm, "stopped", printable(virtv1.VirtualMachineStatusStopped))
	w.awaitGone(pvc) // nobody uses it any more

	// What cannot run here is refused, and runs once it is corrected: the request to start is not lost.
	w.dataVolume("other", "1Mi", blank)
	w.edit(vm, func() {
		vm.Spec.Template.Spec.Domain.Devices.TPM = &virtv1.TPMDevice{}
		vm.Spec.Template.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "other"
		vm.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To(int64(3600))
	})
	w.request(vm, virtv1.StopRequest, virtv1.StartRequest)
	await(w, vm, "refused", func(vm *virtv1.VirtualMachine) bool {
		return vm.Status.PrintableStatus == virtv1.VirtualMachineStatusStopped && strings.Contains(failure(vm), "spec.template.spec.domain.devices.tpm")
	})
	w.edit(vm, func() { vm.Spec.Template.Spec.Domain.Devices.TPM = nil })
	vmi = await(w, w.instanceOf(vm), "running", running)
	await(w, vm, "without a failure", func(vm *virtv1.VirtualMachine) bool {
		return failure(vm) == "" && vm.Status.Ready && vm.Status.Created && len(vm.Status.StateChangeRequests) == 0
	})

	// A stop that nobody in the guest hears is cut short by a forced one.
	w.request(vm, virtv1.StopRequest)
	await(w, vm, "stopping", printable(virtv1.VirtualMachineStatusStopping))
	must(t, w.client.Get(ctx, client.ObjectKeyFromObject(vmi), vmi))
	before := vmi.DeepCopy()
	vmi.Spec.TerminationGracePeriodSeconds = ptr.To(int64(0))
	must(t, w.client.Patch(ctx, vmi, client.MergeFrom(before)))
	w.awaitGone(vmi)
	await(w, vm, "stopped", printable(virtv1.VirtualMachineStatusStopped))
}

func failure(vm *virtv1.VirtualMachine) string {
	for _, c := range vm.Status.Conditions {
		if c.Type == virtv1.VirtualMachineFailure {
			return c.Message
		}
	}
	return ""
}

// edit changes a machine's spec.
func (w *world) edit(vm *virtv1.VirtualMachine, change func()) {
	w.Helper()
	must(w.T, w.client.Get(context.Background(), client.ObjectKeyFromObject(vm), vm))
	before := vm.DeepCopy()
	change()
	must(w.T, w.client.Patch(context.Background(), vm, client.MergeFrom(before)))
}

package node_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// snapshot asks for a snapshot of a claim.
func (w *world) snapshot(name, claim string) *snapshotv1.VolumeSnapshot {
	w.Helper()
	vs := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim}},
	}
	must(w.T, w.client.Create(context.Background(), vs))
	return vs
}

// restore asks for a claim that is filled from a snapshot.
func (w *world) restore(name, snapshot, size string) *corev1.PersistentVolumeClaim {
	w.Helper()
	block := corev1.PersistentVolumeBlock
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("local"), VolumeMode: &block, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:     corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
			DataSourceRef: &corev1.TypedObjectReference{APIGroup: ptr.To(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: snapshot},
		},
	}
	must(w.T, w.client.Create(context.Background(), pvc))
	return pvc
}

func cut(vs *snapshotv1.VolumeSnapshot) bool {
	return vs.Status != nil && vs.Status.CreationTime != nil
}

func usable(vs *snapshotv1.VolumeSnapshot) bool {
	return vs.Status != nil && ptr.Deref(vs.Status.ReadyToUse, false)
}

func bound(pvc *corev1.PersistentVolumeClaim) bool { return pvc.Status.Phase == corev1.ClaimBound }

// TestADiskOfARunningGuestIsSnapshotAndRestored: file systems are frozen, the disk is copied while the guest runs, what it
// writes afterwards is not in the copy, the controller is killed in between, and a second disk holds what was there.
func TestADiskOfARunningGuestIsSnapshotAndRestored(t *testing.T) {
	sample := sampleImage(t)
	w := newWorld(t)
	ctx := context.Background()
	image := w.pushSample(sample)
	w.dataVolume("root", "1Gi", cdiv1.DataVolumeSource{Registry: &cdiv1.DataVolumeSourceRegistry{URL: &image}})
	vm := w.machine("one", virtv1.RunStrategyAlways, "root")
	vmi := await(w, w.instanceOf(vm), "running", running)
	w.run(vmi, "echo before > /data/when; dd if=/dev/urandom of=/data/blob bs=1M count=16 2>/dev/null; md5sum /data/blob > /data/sum; sync")
	await(w, vmi, "connected to its agent", func(vmi *virtv1.VirtualMachineInstance) bool { return vmi.Status.GuestOSInfo.ID != "" })

	must(t, w.node.Freeze(ctx, client.ObjectKeyFromObject(vmi), time.Minute))
	await(w, vmi, "frozen", func(vmi *virtv1.VirtualMachineInstance) bool { return vmi.Status.FSFreezeStatus == "frozen" })
	vs := await(w, w.snapshot("first", "root"), "cut", cut)
	must(t, w.node.Thaw(ctx, client.ObjectKeyFromObject(vmi)))
	w.run(vmi, "echo after > /data/when; sync")
	w.stop()
	w.node.Detach()
	w.start()

	await(w, vs, "ready", usable)
	if got := vs.Status.RestoreSize.String(); got != "1Gi" {
		t.Errorf("restore size %s, want 1Gi", got)
	}
	await(w, vmi, "thawed", func(vmi *virtv1.VirtualMachineInstance) bool { return vmi.Status.FSFreezeStatus == "" })
	copied := await(w, w.restore("copy", "first", "2Gi"), "bound", bound)
	must(t, w.client.Delete(ctx, vs))
	w.awaitGone(vs)
	if left, _ := filepath.Glob(filepath.Join(w.dir, "node", "snapshots/*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	second := w.machine("two", virtv1.RunStrategyAlways, copied.Name)
	other := await(w, w.instanceOf(second), "running", running)
	got := w.run(other, "cat /data/when; cd /data; md5sum -c sum; cat /sys/block/sd*/size | sort -n | tail -n 1")
	if want := "before\n/data/blob: OK\n4194304"; got != want {
		t.Errorf("the restored disk says %q, want %q", got, want)
	}
	if got := w.run(vmi, "cat /data/when; touch /data/writable && echo yes"); got != "after\nyes" {
		t.Errorf("the first guest says %q", got)
	}
	for _, machine := range []*virtv1.VirtualMachine{vm, second} {
		must(t, w.client.Delete(ctx, machine))
		w.awaitGone(machine)
	}
}

// TestASnapshotWaitsForItsClass: one that was asked for before its class was there is taken when that comes.
func TestASnapshotWaitsForItsClass(t *testing.T) {
	w := newWorld(t)
	w.dataVolume("data", "1Mi", cdiv1.DataVolumeSource{Blank: &cdiv1.DataVolumeBlankImage{}})
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "data"}}
	await(w, claim, "bound", bound)
	early := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "early"}}
	early.Spec = snapshotv1.VolumeSnapshotSpec{
		VolumeSnapshotClassName: ptr.To("late"), Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim.Name},
	}
	must(t, w.client.Create(context.Background(), early))
	await(w, w.snapshot("other", "data"), "ready, after the early one was looked at", usable)
	must(t, w.client.Create(context.Background(), &snapshotv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "late"}, Driver: "node.slipway.dev", DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
	}))
	await(w, early, "ready", usable)
	must(t, w.client.Delete(context.Background(), early))
	w.awaitGone(early)
}

// TestADiskAtRestIsSnapshotAndRestored needs no guest: claims, snapshots, deletion in every order.
func TestADiskAtRestIsSnapshotAndRestored(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.dataVolume("data", "64Mi", cdiv1.DataVolumeSource{Blank: &cdiv1.DataVolumeBlankImage{}})
	early := w.snapshot("early", "data") // the claim is not there yet
	vs := await(w, w.snapshot(strings.Repeat("n", 253), "data"), "ready", usable)
	await(w, early, "ready", usable)
	pvc := await(w, w.restore("small", vs.Name, "32Mi"), "told to be too small", func(pvc *corev1.PersistentVolumeClaim) bool {
		return strings.Contains(pvc.Annotations["cdi.kubevirt.io/storage.condition.running.message"], "smaller")
	})
	must(t, w.client.Delete(ctx, vs))
	await(w, vs, "held by the claim that is filled from it", func(vs *snapshotv1.VolumeSnapshot) bool { return vs.DeletionTimestamp != nil })
	must(t, w.client.Delete(ctx, pvc))
	w.awaitGone(vs)

	must(t, w.client.Delete(ctx, &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "data"}}))
	w.awaitGone(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "data"}})
	await(w, w.restore("again", "early", "64Mi"), "bound without the disk that the snapshot is of", bound)
	late := await(w, w.snapshot("late", "nothing"), "told what it lacks", func(vs *snapshotv1.VolumeSnapshot) bool {
		return vs.Status != nil && vs.Status.Error != nil && strings.Contains(*vs.Status.Error.Message, "nothing is not there")
	})
	for _, obj := range []client.Object{late, early} {
		must(t, w.client.Delete(ctx, obj))
		w.awaitGone(obj)
	}
}

package disk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/upload"
	"slipway.dev/slipway/reconcilers/internal/census"
)

func uploadDisk() *v1alpha2.VirtualDisk {
	vd := blankDisk("")
	vd.Spec.DataSource = &v1alpha2.VirtualDiskDataSource{Type: v1alpha2.DataSourceUpload}
	return vd
}

// nightly is a snapshot of 4 GiB with all that stands behind it.
func nightly() []client.Object {
	size := resource.MustParse("4Gi")
	return []client.Object{
		&v1alpha2.VirtualDiskSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "nightly", UID: "snapshot"},
			Spec:       v1alpha2.VirtualDiskSnapshotSpec{VirtualDiskName: "other"},
			Status:     v1alpha2.VirtualDiskSnapshotStatus{Phase: v1alpha2.SnapshotReady, VolumeSnapshotName: "nightly"},
		},
		&snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "nightly", Annotations: map[string]string{
				annotations.StorageClassName: "fast", annotations.VolumeMode: "Block", annotations.AccessModes: "ReadWriteMany",
			}},
			Status: &snapshotv1.VolumeSnapshotStatus{
				ReadyToUse: ptr.To(true), RestoreSize: &size, BoundVolumeSnapshotContentName: ptr.To("content"),
			},
		},
		&snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "content"},
			Spec:       snapshotv1.VolumeSnapshotContentSpec{Driver: "test"},
		},
	}
}

// bindClaim lets the storage end well.
func (w *world) bindClaim(tb testing.TB) {
	tb.Helper()
	claim := w.claim(tb)
	if claim == nil {
		tb.Fatal("there is no claim")
	}
	claim.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: claim.Spec.Resources.Requests}
	if err := w.client.Status().Update(tb.Context(), claim); err != nil {
		tb.Fatal(err)
	}
}

func TestADiskIsMadeFromASnapshot(t *testing.T) {
	vd := diskFrom("VirtualDiskSnapshot", "nightly", "")
	w := newWorld(t, append(nightly(), vd, class("fast"), localClass())...)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskProvisioning || w.volume(t) != nil {
		t.Fatalf("phase %s: %s; a DataVolume was made: %t", vd.Status.Phase, message(vd, "Ready"), w.volume(t) != nil)
	}
	claim := w.claim(t)
	block := corev1.PersistentVolumeBlock
	want := corev1.PersistentVolumeClaimSpec{
		StorageClassName: ptr.To("fast"), VolumeMode: &block, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
		Resources:     corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("4Gi")}},
		DataSourceRef: &corev1.TypedObjectReference{APIGroup: ptr.To("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "nightly"},
	}
	if diff := cmp.Diff(want, claim.Spec); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	claim.Annotations[fillingProgress] = "40.00%"
	w.update(t, claim)
	w.run(t, vd)
	if vd.Status.Progress != "40.0%" {
		t.Errorf("progress %s, want 40.0%%", vd.Status.Progress)
	}

	w.bindClaim(t)
	w.restart()
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady || ptr.Deref(vd.Status.SourceUID, "") != "snapshot" || vd.Status.Capacity != "4Gi" {
		t.Errorf("phase %s, source %v, capacity %s", vd.Status.Phase, vd.Status.SourceUID, vd.Status.Capacity)
	}
	if claim = w.claim(t); !strings.Contains(strings.Join(claim.Finalizers, " "), "pvc-protection") {
		t.Errorf("finalizers %v do not keep the claim", claim.Finalizers)
	}

	if err := w.client.Delete(t.Context(), vd); err != nil {
		t.Fatal(err)
	}
	w.settleWithErrors(t, vd)
	if w.claim(t) != nil {
		t.Error("the claim outlives its disk")
	}
}

func TestASnapshotThatCannotBecomeTheDisk(t *testing.T) {
	pending := nightly()
	pending[0].(*v1alpha2.VirtualDiskSnapshot).Status.Phase = v1alpha2.SnapshotInProgress
	foreign := nightly()
	foreign[2].(*snapshotv1.VolumeSnapshotContent).Spec.Driver = "elsewhere"
	tests := map[string]struct {
		size    string
		objects []client.Object
		phase   v1alpha2.DiskPhase
		ready   string
		says    string
	}{
		"too small":     {"1Gi", nightly(), v1alpha2.DiskFailed, "False ProvisioningFailed", "smaller than its snapshot"},
		"not ready yet": {"", pending, v1alpha2.DiskPending, "False DatasourceIsNotReady", "InProgress"},
		"other storage": {"", foreign, v1alpha2.DiskPending, "False StorageClassProvisionerMismatch", "provisioner test"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd := diskFrom("VirtualDiskSnapshot", "nightly", test.size)
			w := newWorld(t, append(test.objects, vd, class("fast"), localClass())...)
			w.run(t, vd)
			if vd.Status.Phase != test.phase || said(vd, "Ready") != test.ready || !strings.Contains(message(vd, "Ready"), test.says) {
				t.Errorf("phase %s, Ready %q: %s", vd.Status.Phase, said(vd, "Ready"), message(vd, "Ready"))
			}
			if w.claim(t) != nil {
				t.Error("a claim was made")
			}
		})
	}
}

func TestFillingFromASnapshot(t *testing.T) {
	vd := diskFrom("VirtualDiskSnapshot", "nightly", "")
	w := newWorld(t, append(nightly(), vd, class("fast"), localClass())...)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "quota"}}
	w.create(t, quota)
	w.denyClaims = apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, claimName, nil)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskPending || said(vd, "Ready") != "False QuotaExceeded" {
		t.Errorf("phase %s, Ready %q, want the quota to be told", vd.Status.Phase, said(vd, "Ready"))
	}
	w.denyClaims = nil
	w.run(t, vd)
	claim := w.claim(t)
	claim.Annotations[fillingFailed] = "no space"
	w.update(t, claim)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskFailed || !strings.Contains(message(vd, "Ready"), "no space") {
		t.Errorf("phase %s: %s, want the storage's words", vd.Status.Phase, message(vd, "Ready"))
	}
	w.bindClaim(t)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady {
		t.Errorf("phase %s after the storage could after all", vd.Status.Phase)
	}
}

func TestAChangedSnapshotSourceBeginsAnew(t *testing.T) {
	vd := diskFrom("VirtualDiskSnapshot", "nightly", "")
	w := newWorld(t, append(nightly(), vd, class("fast"), localClass())...)
	w.run(t, vd)
	vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse("6Gi"))
	vd.Generation = 2
	w.update(t, vd)
	w.run(t, vd)
	w.run(t, vd)
	claim := w.claim(t)
	if claim == nil || !claim.Spec.Resources.Requests.Storage().Equal(resource.MustParse("6Gi")) {
		t.Errorf("claim %+v, want one of 6Gi", claim)
	}
}

func TestSnapshotsHoldBackGrowthAndDeletion(t *testing.T) {
	vd := blankDisk("1Gi")
	taking := &v1alpha2.VirtualDiskSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "nightly"},
		Spec:       v1alpha2.VirtualDiskSnapshotSpec{VirtualDiskName: "root"},
		Status:     v1alpha2.VirtualDiskSnapshotStatus{Phase: v1alpha2.SnapshotInProgress},
	}
	w := ready(t, vd)
	w.create(t, taking)
	vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse("2Gi"))
	w.update(t, vd)
	w.run(t, vd)
	if said(vd, "Snapshotting") != "True Snapshotting" || said(vd, "Resizing") != "False ResizingNotAvailable" || vd.Status.Phase != v1alpha2.DiskReady {
		t.Errorf("phase %s, Snapshotting %q, Resizing %q", vd.Status.Phase, said(vd, "Snapshotting"), said(vd, "Resizing"))
	}
	if err := w.client.Delete(t.Context(), vd); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if w.claim(t) == nil || !strings.Contains(message(vd, "Terminating"), "nightly") {
		t.Errorf("the deletion says %q", message(vd, "Terminating"))
	}
	taking.Status.Phase = v1alpha2.SnapshotReady
	if err := w.client.Status().Update(t.Context(), taking); err != nil {
		t.Fatal(err)
	}
	w.settleWithErrors(t, vd)
	if w.volume(t) != nil {
		t.Error("the deletion does not go on after the snapshot")
	}
}

func TestASnapshotDoneLetsTheDiskGrow(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	w.create(t, &v1alpha2.VirtualDiskSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "nightly"},
		Spec:       v1alpha2.VirtualDiskSnapshotSpec{VirtualDiskName: "root"},
		Status:     v1alpha2.VirtualDiskSnapshotStatus{Phase: v1alpha2.SnapshotReady},
	})
	vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse("2Gi"))
	w.update(t, vd)
	w.run(t, vd)
	if said(vd, "Snapshotting") != "" || vd.Status.Phase != v1alpha2.DiskResizing {
		t.Errorf("phase %s, Snapshotting %q", vd.Status.Phase, said(vd, "Snapshotting"))
	}
}

func TestAnUploadFillsADisk(t *testing.T) {
	vd := uploadDisk()
	w := newWorld(t, vd, localClass())
	w.runner.Set("u1", importer.State{Phase: importer.Waiting, Upload: &upload.URLs{External: "https://up.test/upload/secret", InCluster: "http://10.0.0.1/upload"}})
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskWaitForUserUpload || said(vd, "Ready") != "False WaitForUserUpload" {
		t.Errorf("phase %s, Ready %q", vd.Status.Phase, said(vd, "Ready"))
	}
	if urls := vd.Status.ImageUploadURLs; urls == nil || urls.External != "https://up.test/upload/secret" || !strings.Contains(vd.Status.UploadCommand, "curl") {
		t.Errorf("URLs %+v, command %q", urls, vd.Status.UploadCommand)
	}
	w.runner.Set("u1", imported())
	w.shelf.Put("vd/team/root:u1")
	w.run(t, vd)
	if vd.Status.ImageUploadURLs != nil || vd.Status.UploadCommand != "" || w.volume(t) == nil {
		t.Errorf("URLs %+v, command %q, DataVolume %v", vd.Status.ImageUploadURLs, vd.Status.UploadCommand, w.volume(t))
	}
	w.fill(t)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady {
		t.Errorf("phase %s, want Ready", vd.Status.Phase)
	}
}

func TestALateClassWaitsForItsNode(t *testing.T) {
	vd := diskFrom("VirtualDiskSnapshot", "nightly", "")
	late := class("fast", func(c *storagev1.StorageClass) {
		c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)
	})
	w := newWorld(t, append(nightly(), vd, late)...)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskWaitForFirstConsumer || w.claim(t) != nil {
		t.Fatalf("phase %s, want no claim before a machine wants it", vd.Status.Phase)
	}
	w.create(t, machine("web", v1alpha2.MachinePending))
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskWaitForFirstConsumer {
		t.Fatalf("phase %s, want the machine to be started first", vd.Status.Phase)
	}
	claim := w.claim(t)
	claim.Annotations[selectedNode] = "node-1"
	w.update(t, claim)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskProvisioning {
		t.Errorf("phase %s, want Provisioning on the node", vd.Status.Phase)
	}
}

func TestDisksAreCounted(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	registry := prometheus.NewRegistry()
	if err := census.Register(registry, w.client, counted()); err != nil {
		t.Fatal(err)
	}
	want := `# HELP d8_virtualization_virtualdisk_capacity_bytes The size of the disk.
# TYPE d8_virtualization_virtualdisk_capacity_bytes gauge
d8_virtualization_virtualdisk_capacity_bytes{name="root",namespace="team",uid="u1"} 1.073741824e+09
# HELP d8_virtualization_virtualdisk_status_in_use Whether something uses the disk.
# TYPE d8_virtualization_virtualdisk_status_in_use gauge
d8_virtualization_virtualdisk_status_in_use{name="root",namespace="team",uid="u1"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"d8_virtualization_virtualdisk_capacity_bytes", "d8_virtualization_virtualdisk_status_in_use"); err != nil {
		t.Error(err)
	}
	if got, err := testutil.GatherAndCount(registry, "d8_virtualization_virtualdisk_status_phase"); err != nil || got != 11 {
		t.Errorf("%d series of phases: %v", got, err)
	}
}

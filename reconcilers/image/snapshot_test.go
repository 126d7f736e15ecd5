package image

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

// snapshotOf is a snapshot that was taken, and what the storage has of it.
func snapshotOf(name string) []client.Object {
	return []client.Object{
		&v1alpha2.VirtualDiskSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name)},
			Status:     v1alpha2.VirtualDiskSnapshotStatus{Phase: v1alpha2.SnapshotReady, VolumeSnapshotName: name},
		},
		&snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, Annotations: map[string]string{
				annotations.StorageClassName: "fast", annotations.VolumeMode: "Block", annotations.AccessModes: "ReadWriteMany,ReadWriteOnce",
			}},
			Status: &snapshotv1.VolumeSnapshotStatus{RestoreSize: ptr.To(resource.MustParse("4Gi"))},
		},
	}
}

func classOf(binding storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, VolumeBindingMode: &binding}
}

var restored = types.NamespacedName{Namespace: "team", Name: "d8v-vi-snapshot-debian-u1"}

func (w *world) restored(t *testing.T) *corev1.PersistentVolumeClaim {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{}
	err := w.client.Get(t.Context(), restored, claim)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func (w *world) bind(t *testing.T) {
	t.Helper()
	claim := w.restored(t)
	claim.Status.Phase = corev1.ClaimBound
	w.updateStatus(t, claim)
}

// TestMadeFromSnapshot follows an image from a snapshot to its end, through a restart of the process at each point.
func TestMadeFromSnapshot(t *testing.T) {
	image := madeFrom("VirtualDiskSnapshot", "root")
	w := newWorld(t, append(snapshotOf("root"), image, classOf(storagev1.VolumeBindingImmediate))...)
	w.run(t, image)
	claim := w.restored(t)
	if claim == nil {
		t.Fatal("no claim is made")
	}
	want := corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{"ReadWriteMany", "ReadWriteOnce"},
		VolumeMode:       ptr.To(corev1.PersistentVolumeBlock),
		StorageClassName: ptr.To("fast"),
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("4Gi")}},
		DataSourceRef:    &corev1.TypedObjectReference{APIGroup: ptr.To(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: "root"},
	}
	if diff := cmp.Diff(want, claim.Spec); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	if _, started := w.runner.Job("u1"); started {
		t.Error("the import has started before the claim is bound")
	}
	if image.Status.Phase != v1alpha2.ImageProvisioning {
		t.Errorf("while the snapshot is restored the image is %s, which does not protect the snapshot", image.Status.Phase)
	}
	w.restart()
	w.bind(t)
	w.run(t, image)
	job, _ := w.runner.Job("u1")
	if diff := cmp.Diff(importer.Source{Volume: &importer.VolumeSource{Namespace: "team", Claim: restored.Name}}, job.Source); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	w.runner.Set("u1", done())
	w.shelf.Put("vi/team/debian:u1")
	w.restart()
	w.runner.Set("u1", done())
	w.run(t, image)
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady || ptr.Deref(image.Status.SourceUID, "") != "uid-root" {
		t.Errorf("the image is %s of %q", image.Status.Phase, ptr.Deref(image.Status.SourceUID, ""))
	}
	if w.restored(t) != nil {
		t.Error("the claim stays")
	}
}

// TestRestoredClaim tells when a claim can be read, and that one of another snapshot is not.
func TestRestoredClaim(t *testing.T) {
	cases := map[string]struct {
		binding storagev1.VolumeBindingMode
		change  func(w *world)
		starts  bool
		// inProcess tells that imports run in this process.
		inProcess bool
	}{
		"not bound":                                      {binding: storagev1.VolumeBindingImmediate},
		"bound when a pod reads it":                      {binding: storagev1.VolumeBindingWaitForFirstConsumer, starts: true},
		"bound when a pod reads it, and none does":       {binding: storagev1.VolumeBindingWaitForFirstConsumer, inProcess: true},
		"bound, read in this process":                    {binding: storagev1.VolumeBindingWaitForFirstConsumer, inProcess: true, change: func(w *world) { w.bind(t) }, starts: true},
		"bound":                                          {binding: storagev1.VolumeBindingImmediate, change: func(w *world) { w.bind(t) }, starts: true},
		"bound, but the snapshot is another":             {binding: storagev1.VolumeBindingImmediate, change: func(w *world) { w.bind(t); w.other(t) }},
		"bound, but the snapshot is another of its name": {binding: storagev1.VolumeBindingImmediate, change: func(w *world) { w.bind(t); w.anew(t) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			image := madeFrom("VirtualDiskSnapshot", "root")
			w := newWorld(t, append(append(snapshotOf("root"), snapshotOf("other")...), image, classOf(c.binding))...)
			w.inProcess = c.inProcess
			w.restart()
			flowtest.Settle(t, w.client, w.images, image, 10)
			if c.change != nil {
				c.change(w)
			}
			flowtest.Settle(t, w.client, w.images, image, 10)
			if _, started := w.runner.Job("u1"); started != c.starts {
				t.Errorf("the import has started: %t, want %t", started, c.starts)
			}
		})
	}
}

// other lets the image be made from another snapshot.
func (w *world) other(t *testing.T) {
	t.Helper()
	image := &v1alpha2.VirtualImage{}
	if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: "team", Name: "debian"}, image); err != nil {
		t.Fatal(err)
	}
	image.Spec.DataSource.ObjectRef.Name = "other"
	w.update(t, image)
}

// anew puts another snapshot in the place of the one that was there.
func (w *world) anew(t *testing.T) {
	t.Helper()
	snapshot := &v1alpha2.VirtualDiskSnapshot{}
	if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: "team", Name: "root"}, snapshot); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Delete(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	snapshot.UID, snapshot.ResourceVersion = "anew", ""
	w.create(t, snapshot)
}

// TestAnotherSourceLeavesNoClaim: what a snapshot was restored to goes when the image is made from something else.
func TestAnotherSourceLeavesNoClaim(t *testing.T) {
	image := madeFrom("VirtualDiskSnapshot", "root")
	w := newWorld(t, append(snapshotOf("root"), image, classOf(storagev1.VolumeBindingImmediate))...)
	w.run(t, image)
	if w.restored(t) == nil {
		t.Fatal("no claim is made")
	}
	image.Spec, image.Generation = httpImage().Spec, 2
	w.update(t, image)
	w.run(t, image)
	if w.restored(t) != nil {
		t.Error("the claim stays")
	}
}

// TestARestoredSnapshotIsNeededNoMore: an import that failed goes on from the claim though the snapshot has gone meanwhile.
func TestARestoredSnapshotIsNeededNoMore(t *testing.T) {
	cases := map[string]struct {
		bound bool
		want  v1alpha2.ImagePhase
	}{
		"restored":             {true, v1alpha2.ImageReady},
		"still being restored": {false, v1alpha2.ImagePending},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			image, objects := madeFrom("VirtualDiskSnapshot", "root"), snapshotOf("root")
			w := newWorld(t, append(objects, image, classOf(storagev1.VolumeBindingImmediate))...)
			w.run(t, image)
			if c.bound {
				w.bind(t)
				w.runner.Set("u1", failure(importer.ErrRegistry))
				w.run(t, image)
			}
			if err := w.client.Delete(t.Context(), objects[0]); err != nil {
				t.Fatal(err)
			}
			w.runner.Set("u1", done())
			w.shelf.Put("vi/team/debian:u1")
			w.run(t, image)
			if image.Status.Phase != c.want || ptr.Deref(image.Status.SourceUID, "") != "uid-root" {
				t.Errorf("the image is %s of %q: %s", image.Status.Phase, ptr.Deref(image.Status.SourceUID, ""), message(image.Status.Conditions, "Ready"))
			}
		})
	}
}

package disk

import (
	"context"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/intake/intaketest"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const claimName = "d8v-vd-root-u1"

// world is an API server, CDI, an importer and a registry of which the test
// decides what happens.
type world struct {
	client   client.Client
	runner   *intaketest.Runner
	shelf    *intaketest.Shelf
	clock    *testclock.FakeClock
	recorder *flowtest.Recorder
	deps     Deps
	disks    reconcile.Reconciler
	// denyVolumes is what the API server answers to new DataVolumes.
	denyVolumes error
	// denyClaims is what it answers to new claims.
	denyClaims error
}

func newWorld(tb testing.TB, objects ...client.Object) *world {
	tb.Helper()
	w := &world{
		runner:   intaketest.NewRunner(),
		shelf:    intaketest.NewShelf(),
		clock:    testclock.NewFakeClock(start),
		recorder: &flowtest.Recorder{},
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, storagev1.AddToScheme, v1alpha2.AddToScheme, cdiv1.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	w.client = fake.NewClientBuilder().
		WithScheme(scheme).
		WithObjects(objects...).
		WithStatusSubresource(&v1alpha2.VirtualDisk{}, &v1alpha2.VirtualImage{}, &v1alpha2.ClusterVirtualImage{},
			&v1alpha2.VirtualMachine{}, &v1alpha2.VirtualDiskSnapshot{}, &snapshotv1.VolumeSnapshot{}, &cdiv1.DataVolume{}, &corev1.PersistentVolumeClaim{}).
		WithIndex(&v1alpha2.VirtualMachine{}, diskIndex, disksOfMachine).
		WithIndex(&v1alpha2.VirtualDiskSnapshot{}, snapshotIndex, snapshotDisk).
		WithIndex(&v1alpha2.VirtualImage{}, imageIndex, diskOfImage).
		WithIndex(&v1alpha2.ClusterVirtualImage{}, imageIndex, diskOfImage).
		WithInterceptorFuncs(interceptor.Funcs{Create: w.createOrDeny}).
		Build()
	w.restart()
	return w
}

func (w *world) createOrDeny(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
	switch obj.(type) {
	case *cdiv1.DataVolume:
		if w.denyVolumes != nil {
			return w.denyVolumes
		}
	case *corev1.PersistentVolumeClaim:
		if w.denyClaims != nil {
			return w.denyClaims
		}
	}
	return c.Create(ctx, obj, opts...)
}

// restart is what a new process knows: nothing but what lies outside of it.
func (w *world) restart() {
	deps := w.deps
	deps.Desk, deps.Shelf, deps.Secrets, deps.Clock = intake.NewDesk(w.runner, w.clock), w.shelf, w.client, w.clock
	if deps.Login == nil {
		deps.Login = func(string) intake.Login { return intake.Login{Username: "reader", Password: "secret"} }
	}
	w.disks = reconciler(newEngine(w.client, deps), flow.Deps{Client: w.client, Recorder: w.recorder, Clock: w.clock})
}

// run reconciles a disk until it rests and returns what it waits for.
func (w *world) run(tb testing.TB, vd *v1alpha2.VirtualDisk) ctrl.Result {
	tb.Helper()
	return flowtest.Settle(tb, w.client, w.disks, vd, 12)
}

func (w *world) update(tb testing.TB, obj client.Object) {
	tb.Helper()
	if err := w.client.Update(tb.Context(), obj); err != nil {
		tb.Fatal(err)
	}
}

// create creates an object with the status it has.
func (w *world) create(tb testing.TB, obj client.Object) {
	tb.Helper()
	withStatus, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		tb.Fatalf("%T is no object", obj)
	}
	if err := w.client.Create(tb.Context(), obj); err != nil {
		tb.Fatal(err)
	}
	withStatus.SetResourceVersion(obj.GetResourceVersion())
	if err := w.client.Status().Update(tb.Context(), withStatus); client.IgnoreNotFound(err) != nil {
		tb.Fatal(err)
	}
	obj.SetResourceVersion(withStatus.GetResourceVersion())
}

// volume reads the disk's DataVolume; nil when there is none.
func (w *world) volume(tb testing.TB) *cdiv1.DataVolume {
	tb.Helper()
	var volume cdiv1.DataVolume
	if !w.read(tb, claimName, &volume) {
		return nil
	}
	return &volume
}

// claim reads the disk's claim; nil when there is none.
func (w *world) claim(tb testing.TB) *corev1.PersistentVolumeClaim {
	tb.Helper()
	var claim corev1.PersistentVolumeClaim
	if !w.read(tb, claimName, &claim) {
		return nil
	}
	return &claim
}

func (w *world) read(tb testing.TB, name string, obj client.Object) bool {
	tb.Helper()
	err := w.client.Get(tb.Context(), client.ObjectKey{Namespace: "team", Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return false
	}
	if err != nil {
		tb.Fatal(err)
	}
	return true
}

// volumeIs lets CDI say how the DataVolume stands.
func (w *world) volumeIs(tb testing.TB, status cdiv1.DataVolumeStatus) {
	tb.Helper()
	volume := w.volume(tb)
	if volume == nil {
		tb.Fatal("there is no DataVolume")
	}
	volume.Status = status
	if err := w.client.Status().Update(tb.Context(), volume); err != nil {
		tb.Fatal(err)
	}
}

// fill lets CDI end well: the claim is bound and the DataVolume has succeeded.
func (w *world) fill(tb testing.TB) {
	tb.Helper()
	volume := w.volume(tb)
	if volume == nil {
		tb.Fatal("there is no DataVolume")
	}
	size := volume.Spec.Storage.Resources.Requests[corev1.ResourceStorage]
	w.create(tb, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: claimName, UID: "claim",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(volume, cdiv1.SchemeGroupVersion.WithKind("DataVolume"))},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: volume.Spec.Storage.StorageClassName,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
		Status: corev1.PersistentVolumeClaimStatus{
			Phase: corev1.ClaimBound, Capacity: corev1.ResourceList{corev1.ResourceStorage: size},
		},
	})
	w.volumeIs(tb, cdiv1.DataVolumeStatus{Phase: cdiv1.Succeeded, Progress: "100.0%"})
}

// ready is a world in which the disk was made.
func ready(tb testing.TB, vd *v1alpha2.VirtualDisk, objects ...client.Object) *world {
	tb.Helper()
	w := newWorld(tb, append(objects, vd, localClass())...)
	w.run(tb, vd)
	w.fill(tb)
	w.run(tb, vd)
	if vd.Status.Phase != v1alpha2.DiskReady {
		tb.Fatalf("phase is %s, want Ready: %s", vd.Status.Phase, message(vd, "Ready"))
	}
	w.recorder.Drain()
	w.runner.Calls()
	return w
}

func localClass() *storagev1.StorageClass {
	return class("local", func(c *storagev1.StorageClass) {
		c.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
		c.AllowVolumeExpansion = ptr.To(true)
	})
}

func class(name string, changes ...func(*storagev1.StorageClass)) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "test"}
	for _, change := range changes {
		change(c)
	}
	return c
}

func blankDisk(size string) *v1alpha2.VirtualDisk {
	vd := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "root", UID: "u1", Generation: 1}}
	if size != "" {
		vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse(size))
	}
	return vd
}

func diskFrom(kind v1alpha2.ObjectRefKind, name, size string) *v1alpha2.VirtualDisk {
	vd := blankDisk(size)
	vd.Spec.DataSource = &v1alpha2.VirtualDiskDataSource{
		Type:      v1alpha2.DataSourceObjectRef,
		ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: kind, Name: name},
	}
	return vd
}

func httpDisk(size string) *v1alpha2.VirtualDisk {
	vd := blankDisk(size)
	vd.Spec.DataSource = &v1alpha2.VirtualDiskDataSource{
		Type: v1alpha2.DataSourceHTTP,
		HTTP: &v1alpha2.HTTPSource{URL: "http://files.test/debian.qcow2"},
	}
	return vd
}

func readyImage() *v1alpha2.VirtualImage {
	return &v1alpha2.VirtualImage{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "debian", UID: "image"},
		Status: v1alpha2.VirtualImageStatus{
			Phase:  v1alpha2.ImageReady,
			Size:   v1alpha2.ImageSize{UnpackedBytes: "4294967296"},
			Target: v1alpha2.VirtualImageTarget{RegistryURL: "dvcr.test:5000/vi/team/debian:image"},
		},
	}
}

func machine(name string, phase v1alpha2.MachinePhase) *v1alpha2.VirtualMachine {
	return &v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec:       v1alpha2.VirtualMachineSpec{BlockDeviceRefs: []v1alpha2.BlockDeviceSpecRef{{Kind: v1alpha2.DiskDevice, Name: "root"}}},
		Status:     v1alpha2.VirtualMachineStatus{Phase: phase},
	}
}

func imported() importer.State {
	return importer.State{Phase: importer.Succeeded, Result: &importer.Result{Format: "qcow2", VirtualSize: 4 << 30, AverageSpeed: 1 << 20}}
}

// said is a condition as "Status Reason".
func said(vd *v1alpha2.VirtualDisk, conditionType string) string {
	c := meta.FindStatusCondition(vd.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func message(vd *v1alpha2.VirtualDisk, conditionType string) string {
	c := meta.FindStatusCondition(vd.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return c.Message
}

// settleWithErrors reconciles a few times without minding errors.
func (w *world) settleWithErrors(tb testing.TB, vd *v1alpha2.VirtualDisk) {
	tb.Helper()
	for range 3 {
		_, _ = flowtest.Reconcile(tb, w.client, w.disks, vd)
	}
}

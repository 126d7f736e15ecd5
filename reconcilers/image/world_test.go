package image

import (
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	testclock "k8s.io/utils/clock/testing"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/intake/intaketest"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is an API server, an importer and a registry of which the test decides
// what happens.
type world struct {
	client   client.Client
	runner   *intaketest.Runner
	shelf    *intaketest.Shelf
	clock    *testclock.FakeClock
	recorder *flowtest.Recorder
	// authority holds DVCR's certificates.
	authority []byte
	// signedBy says who must have signed every container image.
	signedBy []signatures.Trust
	// classes are those that images on volumes may have.
	classes storageclass.Policy
	// inProcess tells that imports run in this process.
	inProcess bool
	images    reconcile.Reconciler
	clusters  reconcile.Reconciler
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
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, storagev1.AddToScheme, cdiv1.AddToScheme, snapshotv1.AddToScheme, v1alpha2.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	w.client = fake.NewClientBuilder().
		WithScheme(scheme).
		WithObjects(objects...).
		WithStatusSubresource(&cdiv1.DataVolume{}, &corev1.PersistentVolumeClaim{}, &v1alpha2.VirtualImage{}, &v1alpha2.ClusterVirtualImage{}, &v1alpha2.VirtualMachine{}, &v1alpha2.VirtualDisk{}, &v1alpha2.VirtualDiskSnapshot{}).
		WithIndex(&v1alpha2.VirtualMachine{}, userIndex, imagesOfMachine).
		WithIndex(&v1alpha2.VirtualDisk{}, userIndex, imageOfDisk).
		WithIndex(&v1alpha2.VirtualImage{}, secretIndex, secretOfImage).
		WithIndex(&v1alpha2.VirtualImage{}, originIndex, originsOf).
		WithIndex(&v1alpha2.ClusterVirtualImage{}, originIndex, originsOf).
		Build()
	w.restart()
	return w
}

// restart is what a new process knows: nothing but what lies outside of it.
func (w *world) restart() {
	e := newEngine(w.client, Deps{Desk: intake.NewDesk(w.runner, w.clock), Shelf: w.shelf, Secrets: w.client, Login: func(string) intake.Login { return intake.Login{Username: "reader", Password: "secret"} }, Authority: w.authority, SignedBy: w.signedBy, Classes: w.classes, InPods: !w.inProcess, Clock: w.clock})
	deps := flow.Deps{Client: w.client, Recorder: w.recorder, Clock: w.clock}
	w.images = reconciler(virtualImage(), e, deps)
	w.clusters = reconciler(clusterVirtualImage(), e, deps)
}

// run reconciles a VirtualImage until it rests and returns what it waits for.
func (w *world) run(tb testing.TB, image *v1alpha2.VirtualImage) ctrl.Result {
	tb.Helper()
	return flowtest.Settle(tb, w.client, w.images, image, 10)
}

func (w *world) update(tb testing.TB, obj client.Object) {
	tb.Helper()
	if err := w.client.Update(tb.Context(), obj); err != nil {
		tb.Fatal(err)
	}
}

const httpURL = "http://files.test/debian.qcow2"

func httpImage() *v1alpha2.VirtualImage {
	return &v1alpha2.VirtualImage{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "debian", UID: "u1", Generation: 1},
		Spec: v1alpha2.VirtualImageSpec{
			Storage:    v1alpha2.StorageContainerRegistry,
			DataSource: v1alpha2.VirtualImageDataSource{Type: v1alpha2.DataSourceHTTP, HTTP: &v1alpha2.HTTPSource{URL: httpURL}},
		},
	}
}

func containerImage(secret string) *v1alpha2.VirtualImage {
	image := httpImage()
	image.Spec.DataSource = v1alpha2.VirtualImageDataSource{
		Type: v1alpha2.DataSourceContainerImage,
		ContainerImage: &v1alpha2.ContainerImageSource{
			Image:           "registry.test/team/disk:v1",
			ImagePullSecret: v1alpha2.ImagePullSecretName{Name: secret},
		},
	}
	return image
}

// readyImage is an image that was imported by an earlier run.
func readyImage() *v1alpha2.VirtualImage {
	image := httpImage()
	image.Finalizers = []string{virtualImage().cleanup}
	image.Status.Phase = v1alpha2.ImageReady
	image.Status.ObservedGeneration = 1
	image.Status.Target.RegistryURL = "dvcr.test:5000/vi/team/debian:u1"
	meta.SetStatusCondition(&image.Status.Conditions, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready"})
	return image
}

func done() importer.State {
	return importer.State{Phase: importer.Succeeded, Result: &importer.Result{
		Format: "qcow2", VirtualSize: 4 << 30, StoredSize: 30 << 20, AverageSpeed: 8 << 20,
	}}
}

// said is a condition as "Status Reason".
func said(conditions []metav1.Condition, conditionType string) string {
	c := meta.FindStatusCondition(conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func message(conditions []metav1.Condition, conditionType string) string {
	c := meta.FindStatusCondition(conditions, conditionType)
	if c == nil {
		return ""
	}
	return c.Message
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
	if err := w.client.Status().Update(tb.Context(), withStatus); err != nil {
		tb.Fatal(err)
	}
}

func machineWith(name string, phase v1alpha2.MachinePhase, device v1alpha2.BlockDeviceKind) *v1alpha2.VirtualMachine {
	return &v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec:       v1alpha2.VirtualMachineSpec{BlockDeviceRefs: []v1alpha2.BlockDeviceSpecRef{{Kind: device, Name: "debian"}}},
		Status:     v1alpha2.VirtualMachineStatus{Phase: phase},
	}
}

func diskFrom(name string, phase v1alpha2.DiskPhase) *v1alpha2.VirtualDisk {
	return &v1alpha2.VirtualDisk{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec: v1alpha2.VirtualDiskSpec{DataSource: &v1alpha2.VirtualDiskDataSource{
			Type:      v1alpha2.DataSourceObjectRef,
			ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: v1alpha2.ObjectRefVirtualImage, Name: "debian"},
		}},
		Status: v1alpha2.VirtualDiskStatus{Phase: phase},
	}
}

// get reads the volume of the image.
func (w *world) get(tb testing.TB, obj client.Object) {
	tb.Helper()
	if err := w.client.Get(tb.Context(), volumeKey, obj); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) updateStatus(tb testing.TB, obj client.Object) {
	tb.Helper()
	if err := w.client.Status().Update(tb.Context(), obj); err != nil {
		tb.Fatal(err)
	}
}

func mentions(tb testing.TB, text, word string) {
	tb.Helper()
	if !strings.Contains(text, word) {
		tb.Errorf("%q does not speak of %q", text, word)
	}
}

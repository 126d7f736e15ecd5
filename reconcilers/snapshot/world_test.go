package snapshot

import (
	"context"
	"errors"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is an API server, storage and guests of which the test decides what
// happens.
type world struct {
	testing.TB
	client    client.Client
	clock     *testclock.FakeClock
	guests    guests
	snapshots reconcile.Reconciler
	// die ends the process right after it wrote an object of this type: the run
	// fails, and what it held in memory is gone.
	die client.Object
}

// guests remember what was asked of them.
type guests struct {
	calls  []string
	refuse error
	frozen bool
}

func (g *guests) Freeze(_ context.Context, instance types.NamespacedName, _ time.Duration) error {
	g.calls = append(g.calls, "freeze "+instance.Name)
	if g.refuse == nil {
		g.frozen = true
	}
	return g.refuse
}

func (g *guests) Thaw(_ context.Context, instance types.NamespacedName) error {
	g.calls = append(g.calls, "thaw "+instance.Name)
	g.frozen = false
	return nil
}

var errKilled = errors.New("killed")

func newWorld(tb testing.TB, objects ...client.Object) *world {
	tb.Helper()
	w := &world{TB: tb, clock: testclock.NewFakeClock(start)}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha2.AddToScheme, virtv1.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha2.VirtualDiskSnapshot{}, &v1alpha2.VirtualDisk{}, &v1alpha2.VirtualImage{}, &v1alpha2.ClusterVirtualImage{}, &snapshotv1.VolumeSnapshot{}).
		WithTypeConverters(flowtest.TypeConverter()).
		WithIndex(&v1alpha2.VirtualDisk{}, sourceIndex, snapshotOfDisk).
		WithIndex(&v1alpha2.VirtualImage{}, originIndex, snapshotOfImage).
		WithIndex(&v1alpha2.ClusterVirtualImage{}, originIndex, snapshotOfImage).
		WithIndex(&v1alpha2.VirtualDiskSnapshot{}, diskIndex, diskOfSnapshot).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, o ...client.CreateOption) error {
				return errors.Join(c.Create(ctx, obj, o...), w.killed(obj))
			},
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, p client.Patch, o ...client.PatchOption) error {
				return errors.Join(c.Patch(ctx, obj, p, o...), w.killed(obj))
			},
		}).Build()
	e := &engine{client: w.client, freezer: &w.guests, clock: w.clock}
	w.snapshots = reconciler(e, flow.Deps{Client: w.client, Recorder: &flowtest.Recorder{}, Clock: w.clock})
	return w
}

// killed fails the write that the test has chosen, once, after it was done.
func (w *world) killed(obj client.Object) error {
	if w.die == nil || typeName(obj) != typeName(w.die) {
		return nil
	}
	w.die = nil
	return errKilled
}

func typeName(obj client.Object) string {
	switch obj.(type) {
	case *snapshotv1.VolumeSnapshot:
		return "VolumeSnapshot"
	case *virtv1.VirtualMachineInstance:
		return "VirtualMachineInstance"
	default:
		return ""
	}
}

func (w *world) run(snapshot *v1alpha2.VirtualDiskSnapshot) ctrl.Result {
	w.Helper()
	return flowtest.Settle(w.TB, w.client, w.snapshots, snapshot, 12)
}

// volume reads the snapshot's VolumeSnapshot; nil when there is none.
func (w *world) volume() *snapshotv1.VolumeSnapshot {
	w.Helper()
	var volume snapshotv1.VolumeSnapshot
	err := w.client.Get(w.Context(), client.ObjectKey{Namespace: "team", Name: "nightly"}, &volume)
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return &volume
}

// storage lets the storage say how the VolumeSnapshot stands.
func (w *world) storage(status snapshotv1.VolumeSnapshotStatus) {
	w.Helper()
	volume := w.volume()
	if volume == nil {
		w.Fatal("there is no VolumeSnapshot")
	}
	volume.Status = &status
	if err := w.client.Status().Update(w.Context(), volume); err != nil {
		w.Fatal(err)
	}
}

func cutAt(at time.Time, ready bool) snapshotv1.VolumeSnapshotStatus {
	return snapshotv1.VolumeSnapshotStatus{
		CreationTime: ptr.To(metav1.NewTime(at)), ReadyToUse: ptr.To(ready), RestoreSize: ptr.To(resource.MustParse("1Gi")),
	}
}

func broken(message string) snapshotv1.VolumeSnapshotStatus {
	return snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: &message}}
}

// lease is the annotation of the instance.
func (w *world) lease() string {
	w.Helper()
	var vmi virtv1.VirtualMachineInstance
	if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: "team", Name: "web"}, &vmi); err != nil {
		w.Fatal(err)
	}
	return vmi.Annotations[frozenBy]
}

func nightly(changes ...func(*v1alpha2.VirtualDiskSnapshot)) *v1alpha2.VirtualDiskSnapshot {
	snapshot := &v1alpha2.VirtualDiskSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "nightly", UID: "s1", Generation: 1},
		Spec:       v1alpha2.VirtualDiskSnapshotSpec{VirtualDiskName: "root"},
	}
	for _, change := range changes {
		change(snapshot)
	}
	return snapshot
}

func optional(snapshot *v1alpha2.VirtualDiskSnapshot) {
	snapshot.Spec.RequiredConsistency = ptr.To(false)
}

func readyDisk() *v1alpha2.VirtualDisk {
	vd := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "root", UID: "d1", Labels: map[string]string{"app": "shop"}}}
	vd.Status.Phase = v1alpha2.DiskReady
	vd.Status.Target.PersistentVolumeClaimName = "volume"
	return vd
}

func claim() *corev1.PersistentVolumeClaim {
	block := corev1.PersistentVolumeBlock
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "volume"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("fast"), VolumeMode: &block, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

// guest is a running machine that has the disk, with an agent or without.
func guest(agent bool) *virtv1.VirtualMachineInstance {
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: "web", CreationTimestamp: metav1.NewTime(start.Add(-time.Hour)),
	}}
	vmi.Spec.Volumes = []virtv1.Volume{{Name: "vd-root", VolumeSource: virtv1.VolumeSource{
		PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{
			PersistentVolumeClaimVolumeSource: corev1.PersistentVolumeClaimVolumeSource{ClaimName: "volume"},
		},
	}}}
	vmi.Status.Phase = virtv1.Running
	if agent {
		vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceAgentConnected, Status: "True"}}
	}
	return vmi
}

// told is what a snapshot's status says.
type told struct {
	phase      v1alpha2.SnapshotPhase
	ready      string
	disk       string
	consistent string
}

func tell(snapshot *v1alpha2.VirtualDiskSnapshot) told {
	t := told{phase: snapshot.Status.Phase, ready: said(snapshot, "VirtualDiskSnapshotReady"), disk: said(snapshot, "VirtualDiskReady")}
	if c := snapshot.Status.Consistent; c != nil {
		t.consistent = map[bool]string{true: "yes", false: "no"}[*c]
	}
	return t
}

func said(snapshot *v1alpha2.VirtualDiskSnapshot, conditionType string) string {
	c := meta.FindStatusCondition(snapshot.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func message(snapshot *v1alpha2.VirtualDiskSnapshot) string {
	c := meta.FindStatusCondition(snapshot.Status.Conditions, "VirtualDiskSnapshotReady")
	if c == nil {
		return ""
	}
	return c.Message
}

func (w *world) remove(obj client.Object) {
	w.Helper()
	if err := w.client.Delete(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
}

// phase lets another controller say how its object stands.
func (w *world) phase(obj client.Object, phase string) {
	w.Helper()
	switch o := obj.(type) {
	case *v1alpha2.VirtualDisk:
		o.Status.Phase = v1alpha2.DiskPhase(phase)
	case *v1alpha2.VirtualImage:
		o.Status.Phase = v1alpha2.ImagePhase(phase)
	case *v1alpha2.ClusterVirtualImage:
		o.Status.Phase = v1alpha2.ImagePhase(phase)
	}
	if err := w.client.Status().Update(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
}

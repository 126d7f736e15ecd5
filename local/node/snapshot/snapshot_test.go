package snapshot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"slipway.dev/slipway/local/node/claim"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/volume"
)

// guest is a guest of which the test decides how its copies stand.
type guest struct {
	runs   bool
	state  instance.Copy
	copies []string
	closed []string
	refuse error
}

func (g *guest) WriterOf(string) (types.UID, bool) { return "guest", g.runs }

func (g *guest) CopyDisk(_ context.Context, _, id, _ string) (bool, error) {
	if !g.runs || g.refuse != nil {
		return g.runs, g.refuse
	}
	g.copies = append(g.copies, id)
	g.state = instance.Copy{Known: true}
	return true, nil
}

func (g *guest) CopyState(context.Context, types.UID, string) (instance.Copy, error) {
	if !g.runs {
		return instance.Copy{}, nil
	}
	return g.state, nil
}

func (g *guest) CloseCopy(_ context.Context, _ types.UID, id string) (bool, error) {
	g.closed = append(g.closed, id)
	g.state = instance.Copy{}
	return g.runs, nil
}

// world is an API server, one volume and a guest.
type world struct {
	*testing.T
	client    client.Client
	guest     guest
	dir       string
	snapshots *volume.Snapshots
	r         *Reconciler
	jobs      *job.Runner
	// writes counts down to the one at which the process is killed, after it.
	writes int
}

var errKilled = errors.New("killed")

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), writes: -1}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	class := &snapshotv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "local", Annotations: map[string]string{DefaultClass: "true"}},
		Driver:     claim.Provisioner, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, class, boundClaim())...).
		WithStatusSubresource(&snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, o ...client.CreateOption) error {
				return errors.Join(c.Create(ctx, obj, o...), w.count())
			},
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, p client.Patch, o ...client.PatchOption) error {
				return errors.Join(c.Patch(ctx, obj, p, o...), w.count())
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, p client.Patch, o ...client.SubResourcePatchOption) error {
				return errors.Join(c.SubResource(sub).Patch(ctx, obj, p, o...), w.count())
			},
		}).Build()
	w.restart()
	must(t, w.r.Volumes.Create(t.Context(), volume.Record{ID: "claim", Owner: "shop/data", Size: 1 << 20}, nil, nil))
	return w
}

func (w *world) count() error {
	if w.writes--; w.writes == 0 {
		return errKilled
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// restart is a new process on the same directory and API server.
func (w *world) restart() {
	w.Helper()
	if w.jobs != nil {
		w.jobs.Close()
	}
	clock := testclock.NewFakeClock(time.Unix(1000, 0))
	bases, err := volume.OpenBases(filepath.Join(w.dir, "images"), nil)
	must(w.T, err)
	volumes, err := volume.Open(filepath.Join(w.dir, "volumes"), bases, clock.Now)
	must(w.T, err)
	w.snapshots, err = volume.OpenSnapshots(filepath.Join(w.dir, "snapshots"), bases, clock.Now)
	must(w.T, err)
	w.jobs = job.NewRunner(clock)
	w.Cleanup(w.jobs.Close)
	w.r = NewReconciler(Deps{
		Client: w.client, Reader: w.client, Volumes: volumes, Snapshots: w.snapshots, Guests: &w.guest,
		Collect: func() error { return nil }, Clock: clock, Recorder: events.NewFakeRecorder(100),
	}, w.jobs)
}

// run reconciles a snapshot until nothing is left to do at once, waiting for copies that run here.
func (w *world) run(name string) (ctrl.Result, error) {
	w.Helper()
	key := types.NamespacedName{Namespace: "shop", Name: name}
	var result ctrl.Result
	for range 10 {
		var err error
		if result, err = w.r.Reconcile(w.Context(), ctrl.Request{NamespacedName: key}); err != nil {
			return result, err
		}
		vs := w.get(name)
		if vs == nil {
			return result, nil
		}
		if state, known := w.jobs.State(job.Name(vs)); known && state.Running {
			<-w.jobs.Events()
			continue
		}
		if result.RequeueAfter == 0 || result.RequeueAfter > time.Millisecond {
			return result, nil
		}
	}
	return result, nil
}

func (w *world) settle(name string) {
	w.Helper()
	for range 3 {
		if _, err := w.run(name); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) get(name string) *snapshotv1.VolumeSnapshot {
	w.Helper()
	vs := &snapshotv1.VolumeSnapshot{}
	err := w.client.Get(w.Context(), types.NamespacedName{Namespace: "shop", Name: name}, vs)
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return vs
}

// told is what a snapshot says: "ready", "cut", "lost" with an error, or nothing yet.
func (w *world) told(name string) string {
	w.Helper()
	vs := w.get(name)
	switch {
	case vs == nil:
		return "gone"
	case vs.Status == nil:
		return ""
	case ptr.Deref(vs.Status.ReadyToUse, false):
		return "ready"
	case vs.Status.Error != nil:
		return "error: " + *vs.Status.Error.Message
	case vs.Status.CreationTime != nil:
		return "cut"
	}
	return ""
}

// held tells whether the claim is protected.
func (w *world) held() bool {
	w.Helper()
	pvc := &corev1.PersistentVolumeClaim{}
	must(w.T, w.client.Get(w.Context(), types.NamespacedName{Namespace: "shop", Name: "data"}, pvc))
	return slices.Contains(pvc.Finalizers, claim.SourceProtection)
}

func (w *world) files() []string {
	entries, _ := os.ReadDir(filepath.Join(w.dir, "snapshots"))
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func boundClaim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", UID: "claim", Finalizers: []string{claim.Finalizer}},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

func wanted(name string) *snapshotv1.VolumeSnapshot {
	return &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
	}
}

func TestAGuestsCopyIsCutThenReady(t *testing.T) {
	w := newWorld(t, wanted("a"))
	w.guest.runs = true
	w.settle("a")
	if got := w.told("a"); got != "cut" || !w.held() {
		t.Fatalf("told %q, claim held %t", got, w.held())
	}
	w.guest.state.Finished = true
	w.settle("a")
	if got := w.told("a"); got != "ready" || w.held() || !slices.Equal(w.guest.copies, []string{"uid-a"}) {
		t.Errorf("told %q, claim held %t, copies %v", got, w.held(), w.guest.copies)
	}
	if record, err := w.snapshots.Get("uid-a"); err != nil || record.Size != 1<<20 {
		t.Errorf("record %+v: %v", record, err)
	}
}

func TestAGuestThatEndsInMidCopy(t *testing.T) {
	w := newWorld(t, wanted("a"))
	w.guest.runs = true
	w.settle("a")
	w.guest.runs = false
	w.settle("a")
	if got := w.told("a"); !strings.Contains(got, "lost") || len(w.files()) > 0 || w.held() {
		t.Errorf("told %q, files %v, claim held %t", got, w.files(), w.held())
	}
	w.restart()
	w.settle("a")
	if got := w.told("a"); !strings.Contains(got, "lost") {
		t.Errorf("told %q after a restart: another moment's content must not take the name", got)
	}
}

func TestACopyThatNobodyWasToldOfIsBegunAnew(t *testing.T) {
	w := newWorld(t, wanted("a"))
	w.guest.runs = true
	if _, err := w.snapshots.Begin(t.Context(), "uid-a", w.r.Volumes, "claim", "guest"); err != nil {
		t.Fatal(err)
	}
	w.guest.runs = false
	w.restart()
	w.settle("a")
	if got := w.told("a"); got != "ready" {
		t.Errorf("told %q, want the disk at rest to be copied", got)
	}
}

func TestAGuestsCopyThatFails(t *testing.T) {
	w := newWorld(t, wanted("a"))
	w.guest.runs, w.guest.refuse = true, errors.New("node is busy")
	w.settle("a")
	if got := w.told("a"); !strings.Contains(got, "busy") || len(w.files()) > 0 {
		t.Errorf("told %q, files %v", got, w.files())
	}
	w.guest.refuse = nil
	w.settle("a")
	w.guest.state.Failure = "Input/output error"
	w.settle("a")
	if got := w.told("a"); !strings.Contains(got, "Input/output error") || len(w.files()) > 0 {
		t.Errorf("told %q, files %v", got, w.files())
	}
}

// TestKilledAfterEachWrite: whatever was written last, the next process ends with one complete snapshot and a free claim.
func TestKilledAfterEachWrite(t *testing.T) {
	for _, runs := range []bool{true, false} {
		for n := 1; ; n++ {
			w := newWorld(t, wanted("a"))
			w.guest.runs, w.writes = runs, n
			killed := false
			for range 12 {
				if _, err := w.run("a"); err != nil {
					if !errors.Is(err, errKilled) {
						t.Fatal(err)
					}
					killed = true
					w.restart()
				}
				w.guest.state.Finished = w.guest.state.Known && w.told("a") == "cut"
			}
			if got := w.told("a"); got != "ready" || w.held() || len(w.guest.copies) > 1 {
				t.Errorf("guest %t, killed after write %d: told %q, claim held %t, copies %v", runs, n, got, w.held(), w.guest.copies)
			}
			if !killed {
				break
			}
		}
	}
}

func TestDeletionInMidCopy(t *testing.T) {
	w := newWorld(t, wanted("a"))
	w.guest.runs = true
	w.settle("a")
	must(t, w.client.Delete(t.Context(), w.get("a")))
	if _, err := w.run("a"); err != nil {
		t.Fatal(err)
	}
	if w.told("a") != "gone" || len(w.files()) > 0 || w.held() || !slices.Contains(w.guest.closed, "uid-a") {
		t.Errorf("told %q, files %v, claim held %t, closed %v", w.told("a"), w.files(), w.held(), w.guest.closed)
	}
	var contents snapshotv1.VolumeSnapshotContentList
	must(t, w.client.List(t.Context(), &contents))
	if len(contents.Items) > 0 {
		t.Errorf("contents are left: %v", contents.Items)
	}
}

func TestTheClaimIsHeldUntilItsLastSnapshot(t *testing.T) {
	w := newWorld(t, wanted("a"), wanted("b"))
	w.guest.runs = true
	w.settle("a")
	w.settle("b")
	w.guest.state.Finished = true
	w.settle("a")
	if w.told("a") != "ready" || !w.held() {
		t.Errorf("told %q, claim held %t while another snapshot is taken", w.told("a"), w.held())
	}
	w.guest.state = instance.Copy{Known: true, Finished: true}
	w.settle("b")
	if w.told("b") != "ready" || w.held() {
		t.Errorf("told %q, claim held %t", w.told("b"), w.held())
	}
}

func TestASnapshotOfAnotherDriverIsLeftAlone(t *testing.T) {
	vs := wanted("a")
	vs.Spec.VolumeSnapshotClassName = ptr.To("other")
	w := newWorld(t, vs, &snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Driver: "elsewhere"})
	w.settle("a")
	if got := w.get("a"); got.Status != nil || len(got.Finalizers) > 0 {
		t.Errorf("it was touched: %+v", got)
	}
}

func TestADeletedContentIsTold(t *testing.T) {
	w := newWorld(t, wanted("a"))
	w.settle("a")
	content := &snapshotv1.VolumeSnapshotContent{}
	must(t, w.client.Get(t.Context(), types.NamespacedName{Name: "snapcontent-uid-a"}, content))
	content.Finalizers = nil
	must(t, w.client.Update(t.Context(), content))
	must(t, w.client.Delete(t.Context(), content))
	w.settle("a")
	if got := w.told("a"); !strings.Contains(got, "was deleted") {
		t.Errorf("told %q", got)
	}
}

package snapshot

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/census"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

var ready = told{v1alpha2.SnapshotReady, "True VirtualDiskSnapshotReady", "True VirtualDiskReady", "yes"}

func TestADiskAtRest(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim())
	w.run(snapshot)
	if diff := cmp.Diff(told{v1alpha2.SnapshotInProgress, "False Snapshotting", "True VirtualDiskReady", ""}, tell(snapshot), cmp.AllowUnexported(told{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := map[string]string{
		"virtualization.deckhouse.io/storage-class-name": "fast", "virtualization.deckhouse.io/volume-mode": "Block",
		"virtualization.deckhouse.io/access-mode": "ReadWriteOnce", "virtualization.deckhouse.io/vd-original-labels": `{"app":"shop"}`,
		"virtualization.deckhouse.io/vd-had-owner-reference": "false",
	}
	volume := w.volume()
	if diff := cmp.Diff(want, volume.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if *volume.Spec.Source.PersistentVolumeClaimName != "volume" || !metav1.IsControlledBy(volume, snapshot) {
		t.Errorf("the VolumeSnapshot is %+v", volume)
	}
	w.storage(cutAt(start, true))
	w.run(snapshot)
	if got := tell(snapshot); got != ready || snapshot.Status.VolumeSnapshotName != "nightly" {
		t.Errorf("told %+v of %q", got, snapshot.Status.VolumeSnapshotName)
	}
	if len(w.guests.calls) > 0 {
		t.Errorf("guests were asked %v", w.guests.calls)
	}
}

func TestARunningGuestIsFrozenUntilTheCut(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim(), guest(true))
	w.run(snapshot)
	if !w.guests.frozen || w.lease() == "" || tell(snapshot).ready != "False Snapshotting" {
		t.Fatalf("frozen %t, lease %q, told %+v: %s", w.guests.frozen, w.lease(), tell(snapshot), message(snapshot))
	}
	w.storage(cutAt(start.Add(time.Second), false))
	w.run(snapshot)
	if w.guests.frozen || w.lease() != "" || tell(snapshot).phase != v1alpha2.SnapshotInProgress || tell(snapshot).consistent != "yes" {
		t.Errorf("after the cut: frozen %t, lease %q, told %+v", w.guests.frozen, w.lease(), tell(snapshot))
	}
	w.storage(cutAt(start.Add(time.Second), true))
	w.run(snapshot)
	if got := tell(snapshot); got != ready {
		t.Errorf("told %+v", got)
	}
	if want := []string{"freeze web", "thaw web"}; !slices.Equal(slices.Compact(w.guests.calls), want) {
		t.Errorf("guests were asked %v, want %v", w.guests.calls, want)
	}
}

func TestAGuestThatCannotFreeze(t *testing.T) {
	waits := told{v1alpha2.SnapshotPending, "False PotentiallyInconsistent", "True VirtualDiskReady", ""}
	goesOn := told{v1alpha2.SnapshotInProgress, "False Snapshotting", "True VirtualDiskReady", ""}
	starting := guest(true)
	starting.Status.Phase = virtv1.Scheduling
	paused := guest(true)
	paused.Status.Conditions = append(paused.Status.Conditions, virtv1.VirtualMachineInstanceCondition{Type: virtv1.VirtualMachineInstancePaused, Status: "True"})
	tests := map[string]struct {
		guest    *virtv1.VirtualMachineInstance
		refuse   error
		optional bool
		want     told
		says     string
	}{
		"no agent":           {guest(false), nil, false, waits, "agent does not answer"},
		"no agent, optional": {guest(false), nil, true, goesOn, ""},
		"starting":           {starting, nil, false, waits, "not running yet"},
		"paused":             {paused, nil, false, waits, "paused"},
		"refusing":           {guest(true), errors.New("no command"), false, waits, "no command"},
		"refusing, optional": {guest(true), errors.New("no command"), true, goesOn, ""},
		"freezing, optional": {guest(true), nil, true, goesOn, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			snapshot := nightly()
			if test.optional {
				optional(snapshot)
			}
			w := newWorld(t, snapshot, readyDisk(), claim(), test.guest)
			w.guests.refuse = test.refuse
			w.run(snapshot)
			if diff := cmp.Diff(test.want, tell(snapshot), cmp.AllowUnexported(told{})); diff != "" || !strings.Contains(message(snapshot), test.says) {
				t.Errorf("(-want +got):\n%s\n%s", diff, message(snapshot))
			}
			if test.refuse != nil && (w.lease() != "" || w.guests.frozen) {
				t.Errorf("a refused freeze leaves lease %q", w.lease())
			}
		})
	}
}

func TestWhatWasCutIsJudged(t *testing.T) {
	tests := map[string]struct {
		guest    *virtv1.VirtualMachineInstance
		optional bool
		cut      time.Duration
		want     string
	}{
		"frozen":                     {guest(true), false, time.Minute, "yes"},
		"frozen too short, optional": {guest(true), true, time.Hour, "no"},
		"frozen too short":           {guest(true), false, time.Hour, "taken anew"},
		"running, optional":          {guest(false), true, time.Second, "no"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			snapshot := nightly()
			if test.optional {
				optional(snapshot)
			}
			w := newWorld(t, snapshot, readyDisk(), claim(), test.guest)
			w.run(snapshot)
			w.storage(cutAt(start.Add(test.cut), true))
			w.run(snapshot)
			got := tell(snapshot).consistent
			if w.volume() == nil || w.volume().Status == nil {
				got = "taken anew"
			}
			if got != test.want {
				t.Errorf("consistent %q, want %q: %s", got, test.want, message(snapshot))
			}
		})
	}
}

func TestAMachineThatStartedBeforeTheCutIsNoticed(t *testing.T) {
	snapshot := nightly(optional)
	w := newWorld(t, snapshot, readyDisk(), claim())
	w.run(snapshot)
	if err := w.client.Create(t.Context(), guest(true)); err != nil {
		t.Fatal(err)
	}
	w.storage(cutAt(start, true))
	w.run(snapshot)
	if got := tell(snapshot).consistent; got != "no" {
		t.Errorf("consistent %q of a disk that came into use", got)
	}
}

func TestTheDiskMustBeReady(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha2.VirtualDisk, *corev1.PersistentVolumeClaim)
		says   string
	}{
		"growing": {func(vd *v1alpha2.VirtualDisk, _ *corev1.PersistentVolumeClaim) {
			vd.Status.Phase = v1alpha2.DiskResizing
		}, "growing"},
		"not ready": {func(vd *v1alpha2.VirtualDisk, _ *corev1.PersistentVolumeClaim) {
			vd.Status.Phase = v1alpha2.DiskPending
		}, "Pending"},
		"no volume":   {func(_ *v1alpha2.VirtualDisk, pvc *corev1.PersistentVolumeClaim) { pvc.Status.Phase = corev1.ClaimLost }, "no volume"},
		"other names": {func(vd *v1alpha2.VirtualDisk, _ *corev1.PersistentVolumeClaim) { vd.Name = "another" }, "root is not there"},
		"deleted": {func(vd *v1alpha2.VirtualDisk, _ *corev1.PersistentVolumeClaim) {
			vd.Finalizers, vd.DeletionTimestamp = []string{"keep"}, &metav1.Time{Time: start}
		}, "being deleted"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			snapshot, disk, pvc := nightly(), readyDisk(), claim()
			test.change(disk, pvc)
			w := newWorld(t, snapshot, disk, pvc)
			w.run(snapshot)
			want := told{v1alpha2.SnapshotPending, "False WaitingForTheVirtualDisk", "False VirtualDiskNotReadyForSnapshotting", ""}
			if got := tell(snapshot); got != want || !strings.Contains(message(snapshot), test.says) {
				t.Errorf("told %+v: %s", got, message(snapshot))
			}
		})
	}
}

func TestTwoSnapshotsOfOneMachineFreezeInTurn(t *testing.T) {
	first := nightly()
	second := nightly(func(s *v1alpha2.VirtualDiskSnapshot) { s.Name, s.UID = "weekly", "s2" })
	w := newWorld(t, first, second, readyDisk(), claim(), guest(true))
	w.run(first)
	w.run(second)
	if tell(second).ready != "False FileSystemFreezing" || !strings.Contains(message(second), "nightly") {
		t.Errorf("second told %+v: %s", tell(second), message(second))
	}
	w.storage(cutAt(start, true))
	w.run(first)
	w.run(second)
	if tell(first) != ready || tell(second).ready != "False Snapshotting" {
		t.Errorf("first told %+v, second %+v", tell(first), tell(second))
	}
}

func TestALeaseOfASnapshotThatIsGoneIsTakenOver(t *testing.T) {
	snapshot, vmi := nightly(), guest(true)
	vmi.Annotations = map[string]string{frozenBy: `{"snapshot":"gone","uid":"s9","at":"2026-03-01T11:59:00Z"}`}
	w := newWorld(t, snapshot, readyDisk(), claim(), vmi)
	w.run(snapshot)
	if !strings.Contains(w.lease(), "nightly") || tell(snapshot).ready != "False Snapshotting" {
		t.Errorf("lease %s, told %+v", w.lease(), tell(snapshot))
	}
}

// TestKilledAtEachWrite: whatever the process last wrote, the next one ends with the same, and no guest stays frozen.
func TestKilledAtEachWrite(t *testing.T) {
	for name, last := range map[string]client.Object{"the lease": &virtv1.VirtualMachineInstance{}, "the VolumeSnapshot": &snapshotv1.VolumeSnapshot{}} {
		t.Run(name, func(t *testing.T) {
			snapshot := nightly()
			w := newWorld(t, snapshot, readyDisk(), claim(), guest(true))
			w.die = last
			for range 3 {
				_, _ = flowtest.Reconcile(t, w.client, w.snapshots, snapshot)
			}
			w.run(snapshot)
			w.storage(cutAt(w.clock.Now(), false))
			w.die = &virtv1.VirtualMachineInstance{}
			for range 2 {
				_, _ = flowtest.Reconcile(t, w.client, w.snapshots, snapshot)
			}
			w.storage(cutAt(w.clock.Now(), true))
			w.run(snapshot)
			if got := tell(snapshot); got != ready || w.guests.frozen || w.lease() != "" {
				t.Errorf("told %+v, frozen %t, lease %q: %s", got, w.guests.frozen, w.lease(), message(snapshot))
			}
		})
	}
}

func TestStorageThatFails(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim(), guest(true))
	w.run(snapshot)
	w.storage(broken("no room"))
	if _, err := flowtest.Reconcile(t, w.client, w.snapshots, snapshot); err != nil {
		t.Fatal(err)
	}
	if got := tell(snapshot); got.phase != v1alpha2.SnapshotFailed || got.ready != "False VirtualDiskSnapshotFailed" || !strings.Contains(message(snapshot), "no room") {
		t.Errorf("told %+v: %s", got, message(snapshot))
	}
	if w.guests.frozen || w.volume() != nil {
		t.Errorf("frozen %t, VolumeSnapshot %v", w.guests.frozen, w.volume())
	}
	w.run(snapshot)
	w.storage(cutAt(start, true))
	w.run(snapshot)
	if got := tell(snapshot); got != ready {
		t.Errorf("told %+v when the storage had room again", got)
	}
}

func TestStorageThatIsTooSlowForAFrozenGuest(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim(), guest(true))
	if result := w.run(snapshot); result.RequeueAfter <= 0 || result.RequeueAfter > freezeTimeout {
		t.Errorf("looked at again after %v, want before the guest thaws", result.RequeueAfter)
	}
	w.clock.Step(freezeTimeout + time.Second)
	if _, err := flowtest.Reconcile(t, w.client, w.snapshots, snapshot); err != nil {
		t.Fatal(err)
	}
	if w.guests.frozen || w.lease() != "" || w.volume() != nil {
		t.Errorf("frozen %t, lease %q", w.guests.frozen, w.lease())
	}
}

func TestAContentThatVanishesIsLost(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim())
	w.run(snapshot)
	w.storage(cutAt(start, true))
	w.run(snapshot)
	if err := w.client.Delete(t.Context(), w.volume()); err != nil {
		t.Fatal(err)
	}
	w.run(snapshot)
	if got := tell(snapshot); got.phase != v1alpha2.SnapshotFailed || got.ready != "False Lost" || w.volume() != nil {
		t.Errorf("told %+v", got)
	}
}

func TestAForeignVolumeSnapshotIsLeftAlone(t *testing.T) {
	snapshot := nightly()
	foreign := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "nightly"}}
	w := newWorld(t, snapshot, readyDisk(), claim(), foreign)
	w.run(snapshot)
	if got := tell(snapshot); got.ready != "False VirtualDiskSnapshotFailed" || !strings.Contains(message(snapshot), "somebody else's") {
		t.Errorf("told %+v: %s", got, message(snapshot))
	}
	if err := w.client.Delete(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	w.run(snapshot)
	if w.volume() == nil {
		t.Error("a VolumeSnapshot of somebody else was deleted")
	}
}

// TestDeletionWaitsForWhatIsMadeFromIt protects a snapshot while a disk or an image reads it, and lets it go afterwards,
// also when they are given up.
func TestDeletionWaitsForWhatIsMadeFromIt(t *testing.T) {
	const kind = v1alpha2.ObjectRefVirtualDiskSnapshot
	vd := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "copy"}}
	vd.Spec.DataSource = &v1alpha2.VirtualDiskDataSource{
		Type: v1alpha2.DataSourceObjectRef, ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: kind, Name: "nightly"},
	}
	vd.Status.Phase = v1alpha2.DiskProvisioning
	near := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "copy"}}
	near.Spec.DataSource = v1alpha2.VirtualImageDataSource{
		Type: v1alpha2.DataSourceObjectRef, ObjectRef: &v1alpha2.VirtualImageObjectRef{Kind: kind, Name: "nightly"},
	}
	near.Status.Phase = v1alpha2.ImageProvisioning
	far := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "copy"}}
	far.Spec.DataSource = v1alpha2.ClusterVirtualImageDataSource{
		Type: v1alpha2.DataSourceObjectRef, ObjectRef: &v1alpha2.ClusterVirtualImageObjectRef{Kind: kind, Namespace: "team", Name: "nightly"},
	}
	far.Status.Phase = v1alpha2.ImageProvisioning
	tests := map[string]struct {
		user client.Object
		ends func(w *world, user client.Object)
	}{
		"VirtualDisk copy, filled":          {vd.DeepCopy(), func(w *world, o client.Object) { w.phase(o, "Ready") }},
		"VirtualDisk copy, deleted":         {vd.DeepCopy(), (*world).remove},
		"VirtualImage team/copy, ready":     {near.DeepCopy(), func(w *world, o client.Object) { w.phase(o, "Ready") }},
		"VirtualImage team/copy, failed":    {near.DeepCopy(), func(w *world, o client.Object) { w.phase(o, "Failed") }},
		"VirtualImage team/copy, deleted":   {near.DeepCopy(), (*world).remove},
		"ClusterVirtualImage copy, ready":   {far.DeepCopy(), func(w *world, o client.Object) { w.phase(o, "Ready") }},
		"ClusterVirtualImage copy, deleted": {far.DeepCopy(), (*world).remove},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			who, _, _ := strings.Cut(name, ",")
			snapshot := nightly()
			w := newWorld(t, snapshot, readyDisk(), claim(), test.user)
			w.run(snapshot)
			w.storage(cutAt(start, true))
			w.run(snapshot)
			if !slices.Contains(snapshot.Finalizers, finalizers.VirtualDiskSnapshotProtection) {
				t.Errorf("finalizers %v do not protect the snapshot", snapshot.Finalizers)
			}
			w.remove(snapshot)
			w.run(snapshot)
			terminating := meta.FindStatusCondition(snapshot.Status.Conditions, TerminatingType)
			if w.volume() == nil || snapshot.Status.Phase != v1alpha2.SnapshotTerminating || terminating == nil || !strings.Contains(terminating.Message, who) {
				t.Fatalf("phase %s, %+v; the content is there: %t", snapshot.Status.Phase, terminating, w.volume() != nil)
			}
			test.ends(w, test.user)
			for range 3 {
				_, _ = flowtest.Reconcile(t, w.client, w.snapshots, snapshot)
			}
			if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(snapshot), snapshot); client.IgnoreNotFound(err) != nil || err == nil || w.volume() != nil {
				t.Errorf("afterwards: %v, content %v", err, w.volume())
			}
		})
	}
}

func TestDeletionInMidSnapshotThawsTheGuest(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim(), guest(true))
	w.run(snapshot)
	if err := w.client.Delete(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _ = flowtest.Reconcile(t, w.client, w.snapshots, snapshot)
	}
	if w.guests.frozen || w.lease() != "" || w.volume() != nil {
		t.Errorf("frozen %t, lease %q, content %v", w.guests.frozen, w.lease(), w.volume())
	}
}

func TestSubresourcesOfKubeVirt(t *testing.T) {
	var asked []string
	status := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte("VMI is not running"))
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewSubresources(&rest.Config{Host: address.Host}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	instance := types.NamespacedName{Namespace: "team", Name: "web"}
	if err := errors.Join(k.Freeze(t.Context(), instance, time.Minute), k.Thaw(t.Context(), instance)); err != nil {
		t.Fatal(err)
	}
	const at = "PUT /apis/subresources.kubevirt.io/v1/namespaces/team/virtualmachineinstances/web/"
	if want := []string{at + "freeze", at + "unfreeze"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	status = http.StatusConflict
	if err := k.Freeze(t.Context(), instance, time.Minute); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not running") {
		t.Errorf("a refusal is told as %v", err)
	}
	status = http.StatusNotFound
	if err := k.Thaw(t.Context(), instance); err != nil {
		t.Errorf("an instance that is gone needs no thaw: %v", err)
	}
}

func TestSnapshotsAreCounted(t *testing.T) {
	snapshot := nightly()
	w := newWorld(t, snapshot, readyDisk(), claim())
	w.run(snapshot)
	registry := prometheus.NewRegistry()
	if err := census.Register(registry, w.client, counted()); err != nil {
		t.Fatal(err)
	}
	want := `# HELP d8_virtualization_virtualdisksnapshot_info What the snapshot is of.
# TYPE d8_virtualization_virtualdisksnapshot_info gauge
d8_virtualization_virtualdisksnapshot_info{name="nightly",namespace="team",uid="s1",virtualdisk="root",volumesnapshot="nightly"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "d8_virtualization_virtualdisksnapshot_info"); err != nil {
		t.Error(err)
	}
}

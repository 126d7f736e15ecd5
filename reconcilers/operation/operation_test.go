package operation

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

type world struct {
	t          *testing.T
	client     client.Client
	recorder   *flowtest.Recorder
	reconciler reconcile.Reconciler
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha2.AddToScheme, kubevirtv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, recorder: &flowtest.Recorder{}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha2.VirtualMachineOperation{}, &kubevirtv1.VirtualMachine{}).
		WithIndex(&v1alpha2.VirtualMachineOperation{}, machineIndex, machineOf).
		WithTypeConverters(byJSON{managedfields.NewDeducedTypeConverter()}).
		Build()
	c := clocktesting.NewFakePassiveClock(epoch)
	w.reconciler = reconciler(operator{client: w.client, clock: c}, flow.Deps{Client: w.client, Recorder: w.recorder, Clock: c})
	return w
}

// byJSON deduces an object's fields from how it looks on the wire.
type byJSON struct{ managedfields.TypeConverter }

func (c byJSON) ObjectToTyped(object runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, u); err != nil {
		return nil, err
	}
	return c.TypeConverter.ObjectToTyped(u, options...)
}

func operation(kind v1alpha2.OperationType, name string, age time.Duration) *v1alpha2.VirtualMachineOperation {
	return &v1alpha2.VirtualMachineOperation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(epoch.Add(-age))},
		Spec:       v1alpha2.VirtualMachineOperationSpec{Type: kind, VirtualMachineName: "web"},
	}
}

func machine(policy v1alpha2.RunPolicy, phase v1alpha2.MachinePhase) *v1alpha2.VirtualMachine {
	return &v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       v1alpha2.VirtualMachineSpec{RunPolicy: policy},
		Status:     v1alpha2.VirtualMachineStatus{Phase: phase},
	}
}

func engine(asked map[string]string) *kubevirtv1.VirtualMachine {
	return &kubevirtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: asked}}
}

func instance(uid types.UID, phase kubevirtv1.VirtualMachineInstancePhase) *kubevirtv1.VirtualMachineInstance {
	return &kubevirtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: uid},
		Status:     kubevirtv1.VirtualMachineInstanceStatus{Phase: phase},
	}
}

func (w *world) settle(op *v1alpha2.VirtualMachineOperation) {
	w.t.Helper()
	flowtest.Settle(w.t, w.client, w.reconciler, op, 8)
}

func (w *world) engine() *kubevirtv1.VirtualMachine {
	w.t.Helper()
	found, err := find(w.t.Context(), w.client, client.ObjectKey{Namespace: "shop", Name: "web"}, &kubevirtv1.VirtualMachine{})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// replace makes another instance take the place of the present one.
func (w *world) replace(next *kubevirtv1.VirtualMachineInstance) {
	w.t.Helper()
	present := instance("", "")
	if err := w.client.Delete(w.t.Context(), present); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	if next == nil {
		return
	}
	if err := w.client.Create(w.t.Context(), next); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) updateEngine(edit func(*kubevirtv1.VirtualMachine)) {
	w.t.Helper()
	found := w.engine()
	edit(found)
	if err := w.client.Status().Update(w.t.Context(), found); err != nil {
		w.t.Fatal(err)
	}
}

func reason(op *v1alpha2.VirtualMachineOperation, conditionType string) string {
	c := meta.FindStatusCondition(op.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

func expect(t *testing.T, op *v1alpha2.VirtualMachineOperation, phase v1alpha2.OperationPhase, completed string) {
	t.Helper()
	if got := reason(op, vmopcondition.CompletedType); op.Status.Phase != phase || got != completed {
		t.Errorf("phase %s, Completed %s; want %s, %s", op.Status.Phase, got, phase, completed)
	}
}

func TestStart(t *testing.T) {
	op := operation(v1alpha2.OperationStart, "op", 0)
	w := newWorld(t, op, machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil))
	w.settle(op)
	expect(t, op, v1alpha2.OperationInProgress, "False/StartInProgress")
	if got := w.engine().Annotations[annotations.StartRequested]; got != "true" {
		t.Fatalf("start was not requested: %q", got)
	}
	w.replace(instance("new", kubevirtv1.Scheduling))
	w.settle(op)
	expect(t, op, v1alpha2.OperationInProgress, "False/StartInProgress")
	w.replace(instance("new", kubevirtv1.Running))
	w.settle(op)
	expect(t, op, v1alpha2.OperationCompleted, "True/OperationCompleted")
	want := []string{
		"Normal VirtualMachineOperationStarted Start of machine web was requested",
		"Normal VirtualMachineOperationSucceeded Start of machine web is done",
	}
	if diff := cmp.Diff(want, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestStartOfMachineThatDies(t *testing.T) {
	op := operation(v1alpha2.OperationStart, "op", 0)
	w := newWorld(t, op, machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil), instance("old", kubevirtv1.Succeeded))
	w.settle(op)
	expect(t, op, v1alpha2.OperationInProgress, "False/StartInProgress")
	w.replace(instance("new", kubevirtv1.Failed))
	w.settle(op)
	expect(t, op, v1alpha2.OperationFailed, "False/OperationFailed")
}

func TestStop(t *testing.T) {
	tests := map[string]struct {
		force     bool
		wantGrace *int64
	}{
		"gently": {},
		"forced": {force: true, wantGrace: ptr.To[int64](0)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			op := operation(v1alpha2.OperationStop, "op", 0)
			op.Spec.Force = ptr.To(test.force)
			asked := map[string]string{annotations.StartRequested: "true", annotations.RestartRequested: "one"}
			w := newWorld(t, op, machine(v1alpha2.AlwaysOnUnlessStoppedManually, v1alpha2.MachineRunning), engine(asked), instance("one", kubevirtv1.Running))
			w.settle(op)
			expect(t, op, v1alpha2.OperationInProgress, "False/StopInProgress")
			e := w.engine()
			want := []kubevirtv1.VirtualMachineStateChangeRequest{{Action: kubevirtv1.StopRequest, UID: ptr.To[types.UID]("one")}}
			if diff := cmp.Diff(want, e.Status.StateChangeRequests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if len(e.Annotations) > 0 {
				t.Errorf("requests of before are left: %v", e.Annotations)
			}
			stopped, err := find(t.Context(), w.client, client.ObjectKeyFromObject(e), &kubevirtv1.VirtualMachineInstance{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.wantGrace, stopped.Spec.TerminationGracePeriodSeconds); diff != "" {
				t.Errorf("grace period (-want +got):\n%s", diff)
			}
			w.updateEngine(func(e *kubevirtv1.VirtualMachine) { e.Status.StateChangeRequests = nil })
			w.replace(nil)
			w.settle(op)
			expect(t, op, v1alpha2.OperationCompleted, "True/OperationCompleted")
		})
	}
}

func TestStopBeforeTheInstanceIsThere(t *testing.T) {
	op := operation(v1alpha2.OperationStop, "op", 0)
	w := newWorld(t, op, machine(v1alpha2.ManualPolicy, v1alpha2.MachinePending), engine(map[string]string{annotations.StartRequested: "true"}))
	if _, err := flowtest.Reconcile(t, w.client, w.reconciler, op); err != nil {
		t.Fatal(err)
	}
	w.replace(instance("late", kubevirtv1.Scheduling))
	w.settle(op)
	expect(t, op, v1alpha2.OperationInProgress, "False/StopInProgress")
	if got := w.engine().Status.StateChangeRequests; len(got) != 1 || *got[0].UID != "late" {
		t.Errorf("the instance that came late is not stopped: %v", got)
	}
}

func TestRestart(t *testing.T) {
	op := operation(v1alpha2.OperationRestart, "op", 0)
	w := newWorld(t, op, machine(v1alpha2.AlwaysOnPolicy, v1alpha2.MachineRunning), engine(nil), instance("one", kubevirtv1.Running))
	w.settle(op)
	expect(t, op, v1alpha2.OperationInProgress, "False/RestartInProgress")
	if got := w.engine().Annotations[annotations.RestartRequested]; got != "one" {
		t.Fatalf("restart was requested of %q", got)
	}
	w.replace(instance("two", kubevirtv1.Running))
	w.settle(op)
	expect(t, op, v1alpha2.OperationCompleted, "True/OperationCompleted")
}

// TestRepeatedAfterCrash runs an operation whose controller died after it had
// stopped the machine and before it wrote that down.
func TestRepeatedAfterCrash(t *testing.T) {
	op := operation(v1alpha2.OperationStop, "op", 0)
	op.Annotations = map[string]string{instanceAnnotation: "one"}
	w := newWorld(t, op, machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil))
	w.settle(op)
	expect(t, op, v1alpha2.OperationCompleted, "True/OperationCompleted")
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		kind    v1alpha2.OperationType
		objects []client.Object
		want    string
	}{
		"no machine": {kind: v1alpha2.OperationStart, want: "False/VirtualMachineNotFound"},
		"start of a running machine": {
			kind: v1alpha2.OperationStart, objects: []client.Object{machine(v1alpha2.ManualPolicy, v1alpha2.MachineRunning), engine(nil)},
			want: "False/NotApplicableForVirtualMachinePhase",
		},
		"stop of a stopped machine": {
			kind: v1alpha2.OperationStop, objects: []client.Object{machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil)},
			want: "False/NotApplicableForVirtualMachinePhase",
		},
		"restart of a stopped machine": {
			kind: v1alpha2.OperationRestart, objects: []client.Object{machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil)},
			want: "False/NotApplicableForVirtualMachinePhase",
		},
		"stop of a machine that was never made": {
			kind: v1alpha2.OperationStop, objects: []client.Object{machine(v1alpha2.ManualPolicy, v1alpha2.MachinePending)},
			want: "False/NotApplicableForVirtualMachinePhase",
		},
		"stop of a machine that is always on": {
			kind: v1alpha2.OperationStop, objects: []client.Object{machine(v1alpha2.AlwaysOnPolicy, v1alpha2.MachineRunning), engine(nil)},
			want: "False/NotApplicableForVirtualMachineRunPolicy",
		},
		"start of a machine that is always off": {
			kind: v1alpha2.OperationStart, objects: []client.Object{machine(v1alpha2.AlwaysOffPolicy, v1alpha2.MachineStopped), engine(nil)},
			want: "False/NotApplicableForVirtualMachineRunPolicy",
		},
		"while an older one goes on": {
			kind: v1alpha2.OperationStart,
			objects: []client.Object{
				machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil), operation(v1alpha2.OperationStart, "older", time.Hour),
			},
			want: "False/NotReadyToBeExecuted",
		},
		"eviction of a stopped machine": {
			kind: v1alpha2.OperationEvict, objects: []client.Object{migratable(v1alpha2.MachineStopped, metav1.ConditionTrue), engine(nil)},
			want: "False/NotApplicableForVirtualMachinePhase",
		},
		"eviction of a machine with a disk of one node": {
			kind: v1alpha2.OperationEvict, objects: []client.Object{migratable(v1alpha2.MachineRunning, metav1.ConditionFalse), engine(nil)},
			want: "False/OperationFailed",
		},
		"migration of a machine of which nothing is known": {
			kind: v1alpha2.OperationMigrate, objects: []client.Object{machine(v1alpha2.ManualPolicy, v1alpha2.MachineRunning), engine(nil)},
			want: "False/OperationFailed",
		},
		"clone": {
			kind: v1alpha2.OperationClone, objects: []client.Object{machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil)},
			want: "False/OperationFailed",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			op := operation(test.kind, "op", 0)
			w := newWorld(t, append(test.objects, op)...)
			w.settle(op)
			expect(t, op, v1alpha2.OperationFailed, test.want)
			if e := w.engine(); e != nil && (len(e.Annotations) > 0 || len(e.Status.StateChangeRequests) > 0) {
				t.Errorf("something was requested all the same: %v %v", e.Annotations, e.Status.StateChangeRequests)
			}
		})
	}
}

func TestNewerOneRunsWhenTheOlderHasEnded(t *testing.T) {
	older := operation(v1alpha2.OperationStart, "older", time.Hour)
	older.Status.Phase = v1alpha2.OperationFailed
	op := operation(v1alpha2.OperationStart, "op", 0)
	w := newWorld(t, older, op, machine(v1alpha2.ManualPolicy, v1alpha2.MachineStopped), engine(nil))
	w.settle(op)
	expect(t, op, v1alpha2.OperationInProgress, "False/StartInProgress")
}

func TestFinishedIsLeftAlone(t *testing.T) {
	op := operation(v1alpha2.OperationStart, "op", 0)
	op.Status.Phase = v1alpha2.OperationCompleted
	w := newWorld(t, op)
	w.settle(op)
	if op.Status.Phase != v1alpha2.OperationCompleted || len(op.Status.Conditions) > 0 {
		t.Errorf("status became %+v", op.Status)
	}
}

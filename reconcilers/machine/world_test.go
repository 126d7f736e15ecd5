package machine

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	kubevirtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// world is an API server with one machine and what it depends on. The test plays
// KubeVirt.
type world struct {
	t          *testing.T
	client     client.Client
	clock      *clocktesting.FakePassiveClock
	recorder   *flowtest.Recorder
	reconciler reconcile.Reconciler
	vm         *v1alpha2.VirtualMachine
	writes     *writes
	// launched counts instances, so that each has a UID of its own.
	launched int
}

// writes counts what is written, and lets one write fail.
type writes struct {
	count int
	// failAt is the write that fails, counted from one; zero lets none fail.
	failAt int
}

var errCut = errors.New("the connection was cut")

func (w *writes) next() error {
	w.count++
	if w.count == w.failAt {
		return errCut
	}
	return nil
}

func (w *writes) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := w.next(); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if err := w.next(); err != nil {
				return err
			}
			return c.Delete(ctx, object, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			if err := w.next(); err != nil {
				return err
			}
			return c.Patch(ctx, object, patch, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := w.next(); err != nil {
				return err
			}
			return c.SubResource(name).Patch(ctx, object, patch, options...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			if err := w.next(); err != nil {
				return err
			}
			return c.Apply(ctx, object, options...)
		},
	}
}

func newWorld(t *testing.T, edit func(vm *v1alpha2.VirtualMachine), objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha2.AddToScheme, kubevirtv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{
		t: t, clock: clocktesting.NewFakePassiveClock(epoch), recorder: &flowtest.Recorder{}, vm: newMachine(),
	}
	if edit != nil {
		edit(w.vm)
	}
	w.writes = &writes{}
	builder := fake.NewClientBuilder().WithInterceptorFuncs(w.writes.funcs()).WithScheme(scheme).WithObjects(append(objects, w.vm)...).
		WithStatusSubresource(&v1alpha2.VirtualMachine{}, &kubevirtv1.VirtualMachine{}, &kubevirtv1.VirtualMachineInstance{}).
		WithTypeConverters(flowtest.TypeConverter())
	for field, keys := range indexes {
		builder = builder.WithIndex(&v1alpha2.VirtualMachine{}, field, keysOf(keys))
	}
	w.client = builder.Build()
	e := newEngineer(w.client, Deps{Clock: w.clock, Secrets: w.client, EndOnReset: true, Registry: Registry{
		Address: "dvcr.local", Login: func(namespace string) intake.Login {
			return intake.Login{Username: "reader." + namespace, Password: "secret"}
		},
	}})
	w.reconciler = reconciler(e, flow.Deps{Client: w.client, Recorder: w.recorder, Clock: w.clock})
	return w
}

func newMachine() *v1alpha2.VirtualMachine {
	return &v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "web-uid", Generation: 1},
		Spec: v1alpha2.VirtualMachineSpec{
			RunPolicy:               v1alpha2.AlwaysOnUnlessStoppedManually,
			VirtualMachineClassName: "generic",
			CPU:                     v1alpha2.CPUSpec{Cores: 2},
			Memory:                  v1alpha2.MemorySpec{Size: resource.MustParse("1Gi")},
			BlockDeviceRefs:         []v1alpha2.BlockDeviceSpecRef{{Kind: v1alpha2.DiskDevice, Name: "root"}},
		},
	}
}

func genericClass() *v1alpha2.VirtualMachineClass {
	return &v1alpha2.VirtualMachineClass{
		ObjectMeta: metav1.ObjectMeta{Name: "generic"},
		Spec: v1alpha2.VirtualMachineClassSpec{
			CPU:            v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeModel, Model: "Nehalem"},
			SizingPolicies: []v1alpha2.SizingPolicy{{Cores: v1alpha2.SizingPolicyCores{Min: 1, Max: 8}}},
		},
		Status: v1alpha2.VirtualMachineClassStatus{Phase: v1alpha2.ClassReady},
	}
}

func rootDisk() *v1alpha2.VirtualDisk {
	return &v1alpha2.VirtualDisk{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "root", UID: "root-uid"},
		Status: v1alpha2.VirtualDiskStatus{
			Phase: v1alpha2.DiskReady, Capacity: "1Gi", Target: v1alpha2.DiskTarget{PersistentVolumeClaimName: "claim"},
			AttachedToVirtualMachines: []v1alpha2.AttachedVirtualMachine{{Name: "web", Mounted: true}},
		},
	}
}

func ownAddress() *v1alpha2.VirtualMachineIPAddress {
	return &v1alpha2.VirtualMachineIPAddress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: address.OwnName(newMachine()), OwnerReferences: []metav1.OwnerReference{ownedBy(newMachine())}},
		Spec:       v1alpha2.VirtualMachineIPAddressSpec{Type: v1alpha2.IPAddressAuto},
		Status:     v1alpha2.VirtualMachineIPAddressStatus{Phase: v1alpha2.AddressAttached, Address: "10.66.10.5", VirtualMachineName: "web"},
	}
}

// everything is what the machine of newMachine depends on.
func everything() []client.Object {
	return []client.Object{genericClass(), rootDisk(), ownAddress()}
}

// settle reconciles until nothing changes any more.
func (w *world) settle() ctrl.Result {
	w.t.Helper()
	return flowtest.Settle(w.t, w.client, w.reconciler, w.vm, 10)
}

// engine is the KubeVirt machine, nil when there is none.
func (w *world) engine() *kubevirtv1.VirtualMachine {
	w.t.Helper()
	engine, err := find(w.t.Context(), w.client, client.ObjectKeyFromObject(w.vm), &kubevirtv1.VirtualMachine{})
	if err != nil {
		w.t.Fatal(err)
	}
	return engine
}

func (w *world) instance() *kubevirtv1.VirtualMachineInstance {
	w.t.Helper()
	instance, err := find(w.t.Context(), w.client, client.ObjectKeyFromObject(w.vm), &kubevirtv1.VirtualMachineInstance{})
	if err != nil {
		w.t.Fatal(err)
	}
	return instance
}

// requests are the actions that were asked of KubeVirt.
func (w *world) requests() []kubevirtv1.StateChangeRequestAction {
	w.t.Helper()
	var actions []kubevirtv1.StateChangeRequestAction
	if engine := w.engine(); engine != nil {
		for _, r := range engine.Status.StateChangeRequests {
			actions = append(actions, r.Action)
		}
	}
	return actions
}

// obey does what KubeVirt would do about the requests: it takes the old instance
// away, makes a new one that runs, and forgets the requests.
func (w *world) obey() {
	w.t.Helper()
	actions := w.requests()
	status := kubevirtv1.VirtualMachineStatusStopped
	for _, action := range actions {
		if old := w.instance(); old != nil {
			w.delete(old)
		}
		status = kubevirtv1.VirtualMachineStatusStopped
		if action == kubevirtv1.StartRequest {
			w.launch()
			status = kubevirtv1.VirtualMachineStatusRunning
		}
	}
	w.updateEngine(func(e *kubevirtv1.VirtualMachine) {
		e.Status.StateChangeRequests = nil
		e.Status.PrintableStatus = status
	})
}

func (w *world) launch() {
	w.t.Helper()
	w.launched++
	template := w.engine().Spec.Template
	instance := &kubevirtv1.VirtualMachineInstance{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: template.Spec}
	instance.Namespace, instance.Name = w.vm.Namespace, w.vm.Name
	instance.UID = types.UID("instance-" + string(rune('0'+w.launched)))
	instance.CreationTimestamp = metav1.NewTime(w.clock.Now())
	instance.Status = kubevirtv1.VirtualMachineInstanceStatus{
		Phase: kubevirtv1.Running, NodeName: "node",
		VolumeStatus: []kubevirtv1.VolumeStatus{{Name: "vd-root", Target: "sda"}},
		Interfaces:   []kubevirtv1.VirtualMachineInstanceNetworkInterface{{MAC: "52:54:00:00:00:01"}},
	}
	if err := w.client.Create(w.t.Context(), instance); err != nil {
		w.t.Fatal(err)
	}
	w.updateInstance(func(i *kubevirtv1.VirtualMachineInstance) {
		i.Status = kubevirtv1.VirtualMachineInstanceStatus{
			Phase: kubevirtv1.Running, NodeName: "node",
			VolumeStatus: []kubevirtv1.VolumeStatus{{Name: "vd-root", Target: "sda"}},
			Interfaces:   []kubevirtv1.VirtualMachineInstanceNetworkInterface{{MAC: "52:54:00:00:00:01"}},
		}
	})
}

// end ends the instance the way the guest, or its death, would.
func (w *world) end(phase kubevirtv1.VirtualMachineInstancePhase, reason string) {
	w.t.Helper()
	w.updateInstance(func(i *kubevirtv1.VirtualMachineInstance) {
		i.Status.Phase, i.Status.Reason = phase, reason
		i.Status.PhaseTransitionTimestamps = []kubevirtv1.VirtualMachineInstancePhaseTransitionTimestamp{
			{Phase: phase, PhaseTransitionTimestamp: metav1.NewTime(w.clock.Now())},
		}
	})
	w.updateEngine(func(e *kubevirtv1.VirtualMachine) { e.Status.PrintableStatus = kubevirtv1.VirtualMachineStatusStopped })
}

func (w *world) updateEngine(edit func(*kubevirtv1.VirtualMachine)) {
	w.t.Helper()
	engine := w.engine()
	edit(engine)
	if err := w.client.Status().Update(w.t.Context(), engine); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) updateInstance(edit func(*kubevirtv1.VirtualMachineInstance)) {
	w.t.Helper()
	instance := w.instance()
	edit(instance)
	if err := w.client.Status().Update(w.t.Context(), instance); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the machine's spec or metadata, as a user would.
func (w *world) edit(edit func(*v1alpha2.VirtualMachine)) {
	w.t.Helper()
	edit(w.vm)
	w.vm.Generation++
	if err := w.client.Update(w.t.Context(), w.vm); err != nil {
		w.t.Fatal(err)
	}
}

// annotate puts a request on the KubeVirt machine, as an operation would.
func (w *world) annotate(key, value string) {
	w.t.Helper()
	engine := w.engine()
	before := engine.DeepCopy()
	engine.Annotations[key] = value
	if err := w.client.Patch(w.t.Context(), engine, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	if err := w.client.Create(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(object client.Object) {
	w.t.Helper()
	if err := w.client.Delete(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

// condition is "Status/Reason" of one of the machine's conditions, empty when it
// is absent.
func (w *world) condition(conditionType string) string {
	c := meta.FindStatusCondition(w.vm.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

// running is a world in which the machine runs for an hour.
func running(t *testing.T, edit func(vm *v1alpha2.VirtualMachine)) *world {
	t.Helper()
	w := newWorld(t, edit, everything()...)
	w.settle()
	w.obey()
	w.settle()
	if w.vm.Status.Phase != v1alpha2.MachineRunning {
		t.Fatalf("the machine is %s: %+v", w.vm.Status.Phase, w.vm.Status.Conditions)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Hour))
	w.recorder.Drain()
	return w
}

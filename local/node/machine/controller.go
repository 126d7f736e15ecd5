package machine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/local/node/instance"
)

// Deps are what the reconciler works with.
type Deps struct {
	Client   client.Client
	Clock    clock.PassiveClock
	Recorder events.EventRecorder
	// Forget is told of machines that are gone for good, as namespace/name. Their instances are gone before.
	Forget func(machine string) error
}

// Reconciler keeps machines' instances.
type Reconciler struct{ Deps }

// NewReconciler makes a reconciler.
func NewReconciler(d Deps) *Reconciler { return &Reconciler{Deps: d} }

// SetupWithManager watches machines, their instances, and the claims that their templates name.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("node-machine").
		For(&virtv1.VirtualMachine{}).
		Owns(&virtv1.VirtualMachineInstance{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.usersOf)).
		Watches(&cdiv1.DataVolume{}, handler.EnqueueRequestsFromMapFunc(r.usersOf)).
		Watches(&snapshotv1.VolumeSnapshotClass{}, handler.EnqueueRequestsFromMapFunc(r.all)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 2}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the machine controller: %w", err)
	}
	return nil
}

// usersOf are the machines whose template names the claim, or the DataVolume of the same name.
func (r *Reconciler) usersOf(ctx context.Context, claim client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineList
	if err := r.Client.List(ctx, &list, client.InNamespace(claim.GetNamespace())); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		vm := &list.Items[i]
		if vm.Spec.Template != nil && instance.Uses(&vm.Spec.Template.Spec, claim.GetName()) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(vm)})
		}
	}
	return out
}

// Reconcile brings one machine a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vm := &virtv1.VirtualMachine{}
	err := r.Client.Get(ctx, req.NamespacedName, vm)
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("get machine %s: %w", req, err)
	}
	if vm.DeletionTimestamp.IsZero() {
		if err := r.hold(ctx, vm); err != nil {
			return ctrl.Result{}, err
		}
	}
	result, err := r.step(ctx, vm)
	if apierrors.IsConflict(err) { // the cache is behind what somebody wrote: the event of that brings the next look
		return ctrl.Result{}, nil
	}
	return result, err
}

// step gathers, decides, acts and reports. Requests that change are reported before anything is done about them: a crash
// in between loses none, and a stale cache acts on none twice. The report's own event brings the next step.
func (r *Reconciler) step(ctx context.Context, vm *virtv1.VirtualMachine) (ctrl.Result, error) {
	v, err := r.gather(ctx, vm)
	if err != nil {
		return ctrl.Result{}, err
	}
	v.Decision = Decide(situation(v))
	if !sameRequests(vm.Status.StateChangeRequests, v.Decision.Requests) {
		return ctrl.Result{}, r.report(ctx, v)
	}
	errAct := r.act(ctx, &v)
	if v.Decision.Action == LetGo {
		return ctrl.Result{}, errAct
	}
	return ctrl.Result{RequeueAfter: v.Decision.After}, errors.Join(errAct, r.report(ctx, v))
}

func sameRequests(a, b []virtv1.VirtualMachineStateChangeRequest) bool {
	return slices.EqualFunc(a, b, func(a, b virtv1.VirtualMachineStateChangeRequest) bool { return reflect.DeepEqual(a, b) })
}

func (r *Reconciler) gather(ctx context.Context, vm *virtv1.VirtualMachine) (View, error) {
	v := View{VM: vm, Refused: refuse(vm), Now: metav1.NewTime(r.Clock.Now())}
	vmi := &virtv1.VirtualMachineInstance{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(vm), vmi)
	switch {
	case err == nil && metav1.IsControlledBy(vmi, vm):
		v.Instance = vmi
	case err == nil:
		v.Failure = fmt.Sprintf("instance %s exists and is not this machine's: delete it", vmi.Name)
	case !apierrors.IsNotFound(err):
		return v, fmt.Errorf("get instance %s/%s: %w", vm.Namespace, vm.Name, err)
	}
	if v.Disk, err = r.worstDisk(ctx, vm); err != nil {
		return v, err
	}
	v.Storage, err = r.storage(ctx, vm)
	return v, err
}

func situation(v View) Situation {
	s := Situation{
		Strategy: strategy(v.VM), LastStrategy: v.VM.Status.RunStrategy, Requests: v.VM.Status.StateChangeRequests,
		Deleting: v.VM.DeletionTimestamp != nil, StartFailure: v.VM.Status.StartFailure, Refused: v.Failure, Now: v.Now.Time,
	}
	if len(v.Refused) > 0 {
		s.Refused = v.Refused[0]
	}
	if v.Instance != nil {
		s.Instance = &Instance{
			UID: v.Instance.UID, Phase: v.Instance.Status.Phase, Deleting: v.Instance.DeletionTimestamp != nil,
			EverRan: everRan(v.Instance), Reason: v.Instance.Status.Reason,
		}
	}
	return s
}

func everRan(vmi *virtv1.VirtualMachineInstance) bool {
	return slices.ContainsFunc(vmi.Status.PhaseTransitionTimestamps,
		func(t virtv1.VirtualMachineInstancePhaseTransitionTimestamp) bool { return t.Phase == virtv1.Running })
}

func (r *Reconciler) act(ctx context.Context, v *View) error {
	if v.Decision.RunAlways {
		return r.runAlways(ctx, v.VM)
	}
	switch v.Decision.Action {
	case Create:
		return r.create(ctx, v)
	case Delete:
		err := r.Client.Delete(ctx, v.Instance, client.Preconditions{UID: &v.Instance.UID})
		if err := client.IgnoreNotFound(err); err != nil {
			return fmt.Errorf("delete instance %s/%s: %w", v.VM.Namespace, v.VM.Name, err)
		}
	case LetGo:
		return r.letGo(ctx, v.VM)
	}
	return nil
}

// create makes the instance. What the API server refuses is told on the machine and tried again.
func (r *Reconciler) create(ctx context.Context, v *View) error {
	err := r.Client.Create(ctx, build(v.VM))
	switch {
	case err == nil:
		r.Recorder.Eventf(v.VM, nil, corev1.EventTypeNormal, "SuccessfulCreate", "Create", "Started the virtual machine by creating the new virtual machine instance %s", v.VM.Name)
		return nil
	case apierrors.IsAlreadyExists(err): // the cache is behind: its event comes
		return nil
	}
	v.Failure = err.Error()
	return fmt.Errorf("create instance %s/%s: %w", v.VM.Namespace, v.VM.Name, err)
}

func (r *Reconciler) runAlways(ctx context.Context, vm *virtv1.VirtualMachine) error {
	before := vm.DeepCopy()
	always := virtv1.RunStrategyAlways
	vm.Spec.RunStrategy, vm.Spec.Running = &always, nil
	if err := r.Client.Patch(ctx, vm, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("start machine %s/%s: %w", vm.Namespace, vm.Name, err)
	}
	return nil
}

func (r *Reconciler) hold(ctx context.Context, vm *virtv1.VirtualMachine) error {
	if slices.Contains(vm.Finalizers, virtv1.VirtualMachineControllerFinalizer) {
		return nil
	}
	before := vm.DeepCopy()
	vm.Finalizers = append(vm.Finalizers, virtv1.VirtualMachineControllerFinalizer)
	if err := r.Client.Patch(ctx, vm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("hold machine %s/%s: %w", vm.Namespace, vm.Name, err)
	}
	return nil
}

func (r *Reconciler) letGo(ctx context.Context, vm *virtv1.VirtualMachine) error {
	if err := r.Forget(vm.Namespace + "/" + vm.Name); err != nil {
		return err
	}
	before := vm.DeepCopy()
	vm.Finalizers = slices.DeleteFunc(vm.Finalizers, func(f string) bool { return f == virtv1.VirtualMachineControllerFinalizer })
	err := r.Client.Patch(ctx, vm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("release machine %s/%s: %w", vm.Namespace, vm.Name, err)
	}
	return nil
}

// report writes the status, unless nothing changed. Whoever adds a request in the meantime is not overwritten: the write
// fails on a conflict and is made anew.
func (r *Reconciler) report(ctx context.Context, v View) error {
	before := v.VM.DeepCopy()
	v.VM.Status = Status(v)
	if reflect.DeepEqual(before.Status, v.VM.Status) {
		return nil
	}
	err := r.Client.Status().Patch(ctx, v.VM, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("report machine %s/%s: %w", v.VM.Namespace, v.VM.Name, err)
	}
	return nil
}

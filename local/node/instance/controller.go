package instance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"slipway.dev/slipway/local/node/accel"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/volume"
)

// Credentials open a registry when an instance names no pull secret.
type Credentials struct{ Host, Username, Password string }

// Deps are what the reconciler works with.
type Deps struct {
	Client      client.Client
	Reader      client.Reader // of Secrets, which are not cached
	Runtime     *Runtime
	Volumes     *volume.Store
	Bases       *volume.Bases
	Clock       clock.PassiveClock
	Recorder    events.EventRecorder
	Accelerator accel.Verdict
	Node        *corev1.Node // whose name and labels placement is judged by
	Default     Credentials
}

// Reconciler brings instances to their processes and back.
type Reconciler struct {
	Deps
	jobs *job.Runner

	mu       sync.Mutex
	prepared map[types.UID][]string // digests of base images that a prepared instance needs
}

// NewReconciler makes a reconciler.
func NewReconciler(d Deps, jobs *job.Runner) *Reconciler {
	return &Reconciler{Deps: d, jobs: jobs, prepared: map[types.UID][]string{}}
}

// SetupWithManager watches instances, the claims they use, and the news from their processes and preparations.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("node-instance").
		For(&virtv1.VirtualMachineInstance{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.usersOf)).
		Watches(&cdiv1.DataVolume{}, handler.EnqueueRequestsFromMapFunc(r.usersOf)).
		WatchesRawSource(source.Channel(r.news(mgr), &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the instance controller: %w", err)
	}
	return nil
}

// Reconcile brings one instance a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vmi := &virtv1.VirtualMachineInstance{}
	err := r.Client.Get(ctx, req.NamespacedName, vmi)
	if apierrors.IsNotFound(err) {
		return r.endOrphans(ctx, req.NamespacedName, "")
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("get instance %s: %w", req, err)
	}
	if again, err := r.endOrphans(ctx, req.NamespacedName, vmi.UID); err != nil || again.RequeueAfter > 0 {
		return again, err
	}
	if vmi.DeletionTimestamp.IsZero() {
		if err := r.hold(ctx, vmi); err != nil {
			return ctrl.Result{}, err
		}
	}
	result, err := r.step(ctx, vmi)
	if apierrors.IsConflict(err) { // the cache is behind what somebody wrote: the event of that brings the next look
		return ctrl.Result{}, nil
	}
	return result, err
}

// step gathers, decides, acts and reports.
func (r *Reconciler) step(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (ctrl.Result, error) {
	g, err := r.gather(ctx, vmi)
	if err != nil {
		return ctrl.Result{}, err
	}
	decision := Decide(g.Situation)
	result, decision, errAct := r.act(ctx, vmi, g, decision)
	if decision.Action == CleanUp {
		return result, errAct
	}
	errReport := r.report(ctx, vmi, decision)
	return result, errors.Join(errAct, errReport)
}

// act does what was decided. It returns the decision that holds afterwards.
func (r *Reconciler) act(ctx context.Context, vmi *virtv1.VirtualMachineInstance, g gathered, d Decision) (ctrl.Result, Decision, error) {
	switch d.Action {
	case Prepare:
		state := r.jobs.Ensure(job.Name(vmi), r.preparation(vmi, g.plan))
		return ctrl.Result{RequeueAfter: r.retryAfter(state)}, d, nil
	case Start:
		return r.start(ctx, vmi, g, d)
	case Stop:
		again, err := r.Runtime.Stop(ctx, vmi.UID, grace(vmi))
		return ctrl.Result{RequeueAfter: again}, d, err
	case CleanUp:
		return ctrl.Result{}, d, r.cleanUp(ctx, vmi)
	}
	if d.Reason == ReasonVolumeInUse || d.Reason == ReasonSecretNotFound {
		return ctrl.Result{RequeueAfter: lookAgain}, d, nil // nothing watched tells when this changes
	}
	return ctrl.Result{}, d, nil
}

const lookAgain = 2 * time.Second

func (r *Reconciler) retryAfter(s job.State) time.Duration {
	if s.Err == nil {
		return 0
	}
	return max(s.RetryAt.Sub(r.Clock.Now()), time.Millisecond)
}

// defaultGrace is KubeVirt's for an instance that names none.
const defaultGrace = 30 * time.Second

func grace(vmi *virtv1.VirtualMachineInstance) time.Duration {
	if s := vmi.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return defaultGrace
}

// start runs the guest. One that cannot be run has failed: another attempt is its owner's to decide.
func (r *Reconciler) start(ctx context.Context, vmi *virtv1.VirtualMachineInstance, g gathered, d Decision) (ctrl.Result, Decision, error) {
	err := r.startAlone(ctx, vmi, g)
	switch {
	case errors.Is(err, volume.ErrBusy):
		d.Reason, d.Message = ReasonVolumeInUse, err.Error()
		return ctrl.Result{RequeueAfter: lookAgain}, d, nil
	case err == nil:
		return ctrl.Result{}, Decision{Phase: virtv1.Running}, nil
	case errors.Is(err, ErrClosing):
		return ctrl.Result{}, Decision{Phase: vmi.Status.Phase}, nil
	case errors.Is(err, qemu.ErrExited) || isInvalid(err):
		return ctrl.Result{}, Decision{Phase: virtv1.Failed, Reason: ReasonStartFailed, Message: err.Error()}, nil
	}
	d.Reason, d.Message = ReasonStartFailed, err.Error()
	return ctrl.Result{}, d, err
}

// startAlone starts the guest while nothing else in this process works on its volumes.
func (r *Reconciler) startAlone(ctx context.Context, vmi *virtv1.VirtualMachineInstance, g gathered) error {
	release, err := r.Volumes.Reserve(slices.Collect(maps.Values(g.plan.claims))...)
	if err != nil {
		return err
	}
	defer release()
	return r.startOnFreePort(ctx, vmi, g)
}

// startOnFreePort tries a second time when somebody else took the guest's port between the look at it and QEMU.
func (r *Reconciler) startOnFreePort(ctx context.Context, vmi *virtv1.VirtualMachineInstance, g gathered) error {
	record, spec, err := r.launch(vmi, g)
	if err != nil {
		return err
	}
	err = r.Runtime.Start(ctx, record, spec)
	if !errors.Is(err, qemu.ErrExited) || free(record.SSHPort) {
		return err
	}
	if record, spec, err = r.launch(vmi, g); err != nil {
		return err
	}
	return r.Runtime.Start(ctx, record, spec)
}

// hold puts the finalizer on an instance before anything is made for it.
func (r *Reconciler) hold(ctx context.Context, vmi *virtv1.VirtualMachineInstance) error {
	before := vmi.DeepCopy()
	if !addFinalizer(vmi) {
		return nil
	}
	if err := r.Client.Patch(ctx, vmi, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("hold instance %s/%s: %w", vmi.Namespace, vmi.Name, err)
	}
	return nil
}

func (r *Reconciler) cleanUp(ctx context.Context, vmi *virtv1.VirtualMachineInstance) error {
	if err := r.remove(client.ObjectKeyFromObject(vmi), vmi.UID); err != nil {
		return err
	}
	before := vmi.DeepCopy()
	if !removeFinalizer(vmi) {
		return nil
	}
	err := r.Client.Patch(ctx, vmi, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("release instance %s/%s: %w", vmi.Namespace, vmi.Name, err)
	}
	return nil
}

func (r *Reconciler) remove(key types.NamespacedName, uid types.UID) error {
	r.jobs.Forget(job.NameOf(key, uid))
	r.mu.Lock()
	delete(r.prepared, uid)
	r.mu.Unlock()
	return r.Runtime.Remove(uid)
}

// endOrphans stops guests of this name whose object is gone, other than the one given.
func (r *Reconciler) endOrphans(ctx context.Context, key types.NamespacedName, keep types.UID) (ctrl.Result, error) {
	for _, uid := range r.Runtime.Named(key) {
		if uid == keep {
			continue
		}
		again, err := r.Runtime.Stop(ctx, uid, defaultGrace)
		if err != nil || again > 0 {
			return ctrl.Result{RequeueAfter: again}, err
		}
		if err := r.remove(key, uid); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

package flow

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Step is one named piece of a reconcile. Its name is the log key, the metric
// label and the action of the events it emits.
type Step[S any] struct {
	Name string
	Do   func(ctx context.Context, scope S) Outcome
}

// Definition is all that a kind brings.
type Definition[O client.Object, S any] struct {
	// Name is the controller's name, lower case, unique in the process.
	Name string
	// Finalizer is kept on the object while Teardown is needed. Empty means that
	// deletion needs nothing.
	Finalizer string
	// New makes an empty object to fetch into.
	New func() O
	// Scope makes the scope of one run around the fetched object, which steps
	// may read and only Report writes.
	Scope func(obj O) S
	// Steps run in order until one does not say Done.
	Steps []Step[S]
	// Teardown runs in place of Steps once the object is being deleted; when all
	// of it is done the finalizer goes.
	Teardown []Step[S]
	// Report writes the object's status from the scope. It is pure: no client,
	// no clock other than what the scope observed.
	Report func(scope S, result Result)
	// Every tells when a run in which all was done is repeated; zero or a nil
	// function means when a watch says so.
	Every func(scope S) time.Duration
}

// Deps are the collaborators of a Reconciler.
type Deps struct {
	Client   client.Client
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	// Metrics may be nil.
	Metrics *Metrics
	// Tracing makes a span of each run and of each step; nil takes the process's
	// tracer provider, which records nothing until one is set.
	Tracing trace.TracerProvider
}

// Reconciler runs a Definition. It implements reconcile.Reconciler.
type Reconciler[O client.Object, S any] struct {
	def    Definition[O, S]
	deps   Deps
	tracer tracer
	past   replaced
}

// New makes the reconciler of a definition.
func New[O client.Object, S any](def Definition[O, S], deps Deps) *Reconciler[O, S] {
	return &Reconciler[O, S]{def: def, deps: deps, tracer: newTracer(deps.Tracing, def.Name)}
}

// Name is the controller's name.
func (r *Reconciler[O, S]) Name() string { return r.def.Name }

// Reconcile brings one object one run further.
func (r *Reconciler[O, S]) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, span := r.tracer.run(ctx, req.NamespacedName)
	defer span.End()
	obj := r.def.New()
	if err := r.deps.Client.Get(ctx, req.NamespacedName, obj); err != nil {
		r.past.forget(req.NamespacedName)
		return ctrl.Result{}, wrap(client.IgnoreNotFound(err), "get %s %s", r.def.Name, req)
	}
	if r.past.has(obj) {
		return ctrl.Result{RequeueAfter: catchUp}, nil
	}
	deleting := !obj.GetDeletionTimestamp().IsZero()
	if deleting && !r.holds(obj) {
		return ctrl.Result{}, nil
	}
	if !deleting {
		if err := r.hold(ctx, obj); err != nil {
			return requeueOnConflict(err)
		}
	}
	return r.run(ctx, obj, deleting)
}

func (r *Reconciler[O, S]) run(ctx context.Context, obj O, deleting bool) (ctrl.Result, error) {
	original := obj.DeepCopyObject().(O)
	scope := r.def.Scope(obj)
	steps := r.def.Steps
	if deleting {
		steps = r.def.Teardown
	}
	ctx, emitted := withEvents(ctx)
	result := r.runSteps(ctx, steps, scope, emitted)
	r.def.Report(scope, result)
	if err := r.patchStatus(ctx, obj, original); err != nil {
		return requeueOnConflict(err)
	}
	r.post(obj, emitted.events)
	if deleting && result.Outcome.IsDone() {
		return requeueOnConflict(r.release(ctx, obj))
	}
	return r.translate(scope, result)
}

func (r *Reconciler[O, S]) runSteps(ctx context.Context, steps []Step[S], scope S, emitted *eventLog) Result {
	logger := log.FromContext(ctx)
	for _, step := range steps {
		emitted.step = step.Name
		started := r.deps.Clock.Now()
		outcome := r.tracer.step(ctx, step.Name, func(ctx context.Context) Outcome {
			return step.Do(log.IntoContext(ctx, logger.WithValues("step", step.Name)), scope)
		})
		r.deps.Metrics.observe(r.def.Name, step.Name, outcome, r.deps.Clock.Since(started))
		if !outcome.IsDone() {
			logger.V(1).Info("stopped", "step", step.Name, "outcome", outcome.String(), "reason", outcome.Reason(), "message", outcome.Message())
			return Result{Step: step.Name, Outcome: outcome}
		}
	}
	return Result{}
}

func (r *Reconciler[O, S]) translate(scope S, result Result) (ctrl.Result, error) {
	switch o := result.Outcome; {
	case o.IsFailed():
		return ctrl.Result{}, fmt.Errorf("%s: %w", result.Step, o.Err())
	case o.IsWaiting():
		return ctrl.Result{RequeueAfter: o.After()}, nil
	case o.IsDone() && r.def.Every != nil:
		return ctrl.Result{RequeueAfter: r.def.Every(scope)}, nil
	default:
		return ctrl.Result{}, nil
	}
}

func (r *Reconciler[O, S]) holds(obj O) bool {
	return r.def.Finalizer != "" && controllerutil.ContainsFinalizer(obj, r.def.Finalizer)
}

func (r *Reconciler[O, S]) hold(ctx context.Context, obj O) error {
	if r.def.Finalizer == "" || r.holds(obj) {
		return nil
	}
	return r.patchFinalizers(ctx, obj, func() { controllerutil.AddFinalizer(obj, r.def.Finalizer) })
}

func (r *Reconciler[O, S]) release(ctx context.Context, obj O) error {
	return r.patchFinalizers(ctx, obj, func() { controllerutil.RemoveFinalizer(obj, r.def.Finalizer) })
}

func (r *Reconciler[O, S]) patchFinalizers(ctx context.Context, obj O, change func()) error {
	base := client.MergeFromWithOptions(obj.DeepCopyObject().(O), client.MergeFromWithOptimisticLock{})
	change()
	err := client.IgnoreNotFound(r.deps.Client.Patch(ctx, obj, base))
	return wrap(err, "patch finalizers of %s %s", r.def.Name, client.ObjectKeyFromObject(obj))
}

func (r *Reconciler[O, S]) post(obj O, emitted []Event) {
	for _, e := range emitted {
		r.deps.Recorder.Eventf(obj, nil, e.Type, e.Reason, e.Step, "%s", e.Message)
	}
}

func requeueOnConflict(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	return ctrl.Result{}, err
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

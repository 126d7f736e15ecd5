package environment

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/flux"
)

// Name of the controller.
const Name = "environment"

const (
	defaultInterval    = 10 * time.Minute
	defaultConcurrency = 4
)

// How long an Environment that fails is left alone: twice as long each time,
// within these bounds.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Minute
)

// Trees opens what sources stored. *store.Store is one.
type Trees interface {
	Tree(digest string) (fs.FS, error)
}

// Importer brings the archives of Flux's sources. Imports is one.
type Importer interface {
	// Import stores the files of an archive and returns the digest that names them.
	Import(ctx context.Context, a flux.Archive) (digest string, size int64, err error)
}

// Deps are what the controller needs besides the manager.
type Deps struct {
	// Trees of the sources.
	Trees Trees
	// Importer of the archives that Flux's sources serve.
	Importer Importer
	// Collect removes trees that nobody names any more, but for a fresh one; may be nil.
	Collect func(ctx context.Context, fresh string) error
	// Renderer of the trees, which checks the objects.
	Renderer Renderer
	// Deciders by kind; nil takes those of the module kinds.
	Deciders map[schema.GroupKind]plan.Decider
	// Clients that act as ServiceAccounts; nil impersonates with the manager's
	// identity.
	Clients Clients
	// DefaultServiceAccount is used where spec.serviceAccountName is empty. When it
	// is empty too, such Environments stall.
	DefaultServiceAccount string
	// Concurrency is how many Environments are worked on at a time; 4 when zero.
	Concurrency int
	// Clock; nil is the real one.
	Clock clock.PassiveClock
	// Metrics of the steps; may be nil.
	Metrics *flow.Metrics
}

// reconciler holds the steps and their collaborators.
type reconciler struct {
	reader  client.Reader
	clients Clients
	trees   Trees
	planner *Planner
	watches *watches
	// foreign watches sources of Flux's API; nil reads them with reader.
	foreign  *watches
	importer Importer
	collect  func(ctx context.Context, fresh string) error
	// observers of spec.healthChecks; nil reads them from the API server.
	observers             *observers
	memory                *memory
	clock                 clock.PassiveClock
	defaultServiceAccount string
}

func (r *reconciler) definition() flow.Definition[*v1alpha1.Environment, *scope] {
	return flow.Definition[*v1alpha1.Environment, *scope]{
		Name:      Name,
		Finalizer: v1alpha1.Finalizer,
		New:       func() *v1alpha1.Environment { return &v1alpha1.Environment{} },
		Scope:     r.newScope,
		Steps: []flow.Step[*scope]{
			r.guarded("accept", r.accept),
			r.guarded("observe", r.observe),
			r.guarded("depend", r.depend),
			r.guarded("render", r.render),
			r.guarded("gather", r.gather),
			r.guarded("plan", r.plan),
			r.guarded("brake", r.brake),
			r.guarded("record", r.record),
			r.guarded("apply", r.apply),
			r.guarded("judge", r.judge),
			r.guarded("prune", r.prune),
			r.guarded("conclude", conclude),
		},
		Teardown: []flow.Step[*scope]{r.guarded("release", r.release)},
		Report:   report,
		Every:    wakeAfter,
	}
}

// SetupWithManager starts the controller with the manager. The manager's scheme
// needs the GitOps kinds and the core kinds.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	deps = deps.withDefaults(mgr)
	observed, err := newCache(mgr)
	if err != nil {
		return err
	}
	if err := indexDependsOn(mgr); err != nil {
		return err
	}
	r := newReconciler(mgr.GetClient(), deps)
	r.planner.Mapper = mgr.GetRESTMapper()
	r.observers = newObservers(deps.Clients)
	if err := mgr.Add(r.observers); err != nil {
		return fmt.Errorf("run the watches of health checks: %w", err)
	}
	engine := flow.New(r.definition(), flow.Deps{
		Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("slipway-" + Name), Clock: deps.Clock, Metrics: deps.Metrics,
	})
	built, err := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.Environment{}, asked()).
		Watches(&v1alpha1.GitRepository{}, r.usersOf(v1alpha1.GitRepositoryKind), moved()).
		Watches(&v1alpha1.OCIRepository{}, r.usersOf(v1alpha1.OCIRepositoryKind), moved()).
		Watches(&v1alpha1.Environment{}, r.dependents()).
		WatchesRawSource(source.Channel(r.observers.woken, &handler.EnqueueRequestForObject{})).
		WatchesMetadata(&corev1.ConfigMap{}, r.usersOfInput("ConfigMap")).
		WatchesMetadata(&corev1.Secret{}, r.usersOfInput("Secret")).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: deps.Concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Build(engine)
	if err != nil {
		return fmt.Errorf("set up the %s controller: %w", Name, err)
	}
	r.watches = newWatches(observed, built, r.memory)
	r.foreign = newForeign(mgr.GetCache(), built, r.reader)
	return nil
}

func newReconciler(reader client.Reader, deps Deps) *reconciler {
	return &reconciler{
		reader:                reader,
		clients:               deps.Clients,
		trees:                 deps.Trees,
		importer:              deps.Importer,
		collect:               deps.Collect,
		planner:               &Planner{Renderer: deps.Renderer, Deciders: deps.Deciders},
		memory:                newMemory(),
		clock:                 deps.Clock,
		defaultServiceAccount: deps.DefaultServiceAccount,
	}
}

func (d Deps) withDefaults(mgr ctrl.Manager) Deps {
	if d.Clients == nil {
		d.Clients = NewImpersonation(mgr.GetConfig(), mgr.GetScheme(), mgr.GetRESTMapper())
	}
	if d.Deciders == nil {
		d.Deciders = Deciders()
	}
	if d.Clock == nil {
		d.Clock = clock.RealClock{}
	}
	if d.Concurrency == 0 {
		d.Concurrency = defaultConcurrency
	}
	return d
}

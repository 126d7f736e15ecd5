package source

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/oci"
)

// Names of the controllers.
const (
	GitName = "gitrepository"
	OCIName = "ocirepository"
)

// How long a source that fails is left alone: twice as long each time, within
// these bounds, so that a server that comes back is found soon.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = time.Minute
)

const (
	defaultInterval    = time.Minute
	defaultConcurrency = 4
	// jitter spreads sources of one interval over time: each look comes up to
	// this share of the interval earlier or later.
	jitter = 0.05
)

// Git resolves and fetches. *git.Client is one.
type Git interface {
	Resolve(ctx context.Context, remote git.Remote, ref git.Ref) (git.Revision, error)
	Fetch(ctx context.Context, remote git.Remote, revision git.Revision, options git.Options) (fs.FS, error)
}

// Store keeps trees by digest. *store.Store is one.
type Store interface {
	PutWithSize(ctx context.Context, tree fs.FS) (digest string, size int64, err error)
	Tree(digest string) (fs.FS, error)
	Keep(digests ...string) (removed int, err error)
}

// Deps are what the controllers need besides the manager.
type Deps struct {
	// Git client.
	Git Git
	// Registries reaches those that bundles come from.
	Registries *oci.Client
	// Store of the artifacts.
	Store Store
	// Egress says which addresses the URLs of tenants may lead to.
	Egress egress.Policy
	// Concurrency is how many sources are worked on at a time; 4 when zero.
	Concurrency int
	// Clock; nil is the real one.
	Clock clock.PassiveClock
	// Metrics of the steps; may be nil.
	Metrics *flow.Metrics
}

// reconciler holds the steps and their collaborators.
type reconciler struct {
	// reader of the kinds of this package, cached.
	reader client.Reader
	// secrets are read from the API server.
	secrets client.Reader
	git     Git
	store   Store
	egress  egress.Policy
	clock   clock.PassiveClock
	// rejected revisions, which need no second look.
	rejected rejections
	// spread makes of an interval the time until the next look.
	spread func(time.Duration) time.Duration
}

func (r *reconciler) definition() flow.Definition[*v1alpha1.GitRepository, *scope] {
	return flow.Definition[*v1alpha1.GitRepository, *scope]{
		Name: GitName,
		New:  func() *v1alpha1.GitRepository { return &v1alpha1.GitRepository{} },
		Scope: func(repo *v1alpha1.GitRepository) *scope {
			return &scope{repo: repo, now: r.clock.Now()}
		},
		Steps: []flow.Step[*scope]{
			guarded("accept", accept),
			guarded("login", r.login),
			guarded("resolve", r.resolve),
			guarded("fetch", r.fetch),
			guarded("collect", r.collect),
		},
		Report: report,
		Every:  func(s *scope) time.Duration { return r.every(s.repo.Spec.Interval) },
	}
}

// every is the time until the next look at a source with this interval.
func (r *reconciler) every(interval metav1.Duration) time.Duration {
	if interval.Duration > 0 {
		return r.spread(interval.Duration)
	}
	return r.spread(defaultInterval)
}

// spread is the interval, a little shorter or longer.
func spread(interval time.Duration) time.Duration {
	return time.Duration(float64(interval) * (1 + jitter*(2*rand.Float64()-1)))
}

// SetupWithManager starts the controllers with the manager. The manager's scheme
// needs the GitOps kinds and the core kinds.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Clock == nil {
		deps.Clock = clock.RealClock{}
	}
	if deps.Concurrency == 0 {
		deps.Concurrency = defaultConcurrency
	}
	r := &reconciler{
		reader: mgr.GetClient(), secrets: mgr.GetAPIReader(), git: deps.Git, store: deps.Store, egress: deps.Egress, clock: deps.Clock, spread: spread,
	}
	if err := setup(mgr, &v1alpha1.GitRepository{}, v1alpha1.GitRepositoryKind, GitName, deps, flow.New(r.definition(), flowDeps(mgr, GitName, deps))); err != nil {
		return err
	}
	bundles := &bundles{reconciler: r, registries: deps.Registries}
	return setup(mgr, &v1alpha1.OCIRepository{}, v1alpha1.OCIRepositoryKind, OCIName, deps, flow.New(bundles.definition(), flowDeps(mgr, OCIName, deps)))
}

func flowDeps(mgr ctrl.Manager, name string, deps Deps) flow.Deps {
	return flow.Deps{Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("slipway-" + name), Clock: deps.Clock, Metrics: deps.Metrics}
}

func setup(mgr ctrl.Manager, kind client.Object, kindName, name string, deps Deps, engine reconcile.Reconciler) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named(name).
		For(kind, builder.WithPredicates(asked())).
		Watches(&v1alpha1.Environment{}, sourceOfLost(kindName), builder.WithPredicates(lostArtifact())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: deps.Concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Complete(engine)
	if err != nil {
		return fmt.Errorf("set up the %s controller: %w", name, err)
	}
	return nil
}

// asked lets through changes of the spec and requests by annotation.
func asked() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetAnnotations()[v1alpha1.RequestedAtAnnotation] != e.ObjectNew.GetAnnotations()[v1alpha1.RequestedAtAnnotation]
		},
	})
}

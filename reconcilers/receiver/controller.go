package receiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Name of the controller.
const Name = "receiver"

// PathPrefix begins every webhook's path.
const PathPrefix = "/hook/"

// tokenKey is the key of the Secret that holds the token.
const tokenKey = "token"

const defaultInterval = 10 * time.Minute

// How long a receiver that fails is left alone: twice as long each time, within
// these bounds.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// errToken says that a Secret does not hold a token.
var errToken = errors.New("token cannot be used")

// Deps are what the controller needs besides the manager.
type Deps struct {
	// Address to listen on; empty serves nothing.
	Address string
	// Clock; nil is the real one.
	Clock clock.PassiveClock
	// Metrics of the steps; may be nil.
	Metrics *flow.Metrics
}

type reconciler struct {
	secrets client.Reader
	clock   clock.PassiveClock
	// served says that somebody listens.
	served bool
}

// scope is what one run observed. Only Report writes the object.
type scope struct {
	receiver *v1alpha1.Receiver
	now      time.Time
	// path of the webhook. Set by path.
	path string
	// suspended says that the spec asks for nothing to be done.
	suspended bool
}

func (r *reconciler) definition() flow.Definition[*v1alpha1.Receiver, *scope] {
	return flow.Definition[*v1alpha1.Receiver, *scope]{
		Name:   Name,
		New:    func() *v1alpha1.Receiver { return &v1alpha1.Receiver{} },
		Scope:  func(o *v1alpha1.Receiver) *scope { return &scope{receiver: o, now: r.clock.Now()} },
		Steps:  []flow.Step[*scope]{{Name: "accept", Do: r.accept}, {Name: "path", Do: r.path}},
		Report: func(s *scope, result flow.Result) { report(s, result) },
		Every:  func(s *scope) time.Duration { return every(s.receiver) },
	}
}

func every(r *v1alpha1.Receiver) time.Duration {
	if r.Spec.Interval.Duration > 0 {
		return r.Spec.Interval.Duration
	}
	return defaultInterval
}

func (r *reconciler) accept(_ context.Context, s *scope) flow.Outcome {
	switch {
	case s.receiver.Spec.Suspend:
		s.suspended = true
		return flow.Wait(v1alpha1.SuspendedReason, 0, "spec.suspend is true; the sender is answered as if there were nobody")
	case !r.served:
		return flow.Stall(v1alpha1.NotSupportedReason, "nobody listens for webhooks; start Slipway with --receiver-address")
	}
	if text := s.receiver.Spec.ResourceFilter; text != "" {
		if _, err := compileFilter(text); err != nil {
			return flow.Stall(v1alpha1.InvalidCELExpressionReason, "spec.resourceFilter: %s; correct it", err)
		}
	}
	return flow.Done()
}

func (r *reconciler) path(ctx context.Context, s *scope) flow.Outcome {
	token, err := tokenOf(ctx, r.secrets, s.receiver)
	if err != nil {
		return flow.Fail(v1alpha1.AuthenticationFailedReason, err)
	}
	s.path = pathOf(token, s.receiver)
	return flow.Done()
}

// tokenOf reads what a receiver's sender knows.
func tokenOf(ctx context.Context, secrets client.Reader, r *v1alpha1.Receiver) ([]byte, error) {
	secret := &corev1.Secret{}
	name := r.Spec.SecretRef.Name
	err := secrets.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: there is no Secret %s in namespace %s; create it or correct spec.secretRef", errToken, name, r.Namespace)
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", r.Namespace, name, err)
	case len(secret.Data[tokenKey]) == 0:
		return nil, fmt.Errorf("%w: the key %s of Secret %s is missing or empty", errToken, tokenKey, name)
	}
	return secret.Data[tokenKey], nil
}

// pathOf is the path that Flux would give the same receiver.
func pathOf(token []byte, r *v1alpha1.Receiver) string {
	sum := sha256.Sum256([]byte(string(token) + r.Name + r.Namespace))
	return PathPrefix + hex.EncodeToString(sum[:])
}

func report(s *scope, result flow.Result) {
	status := &s.receiver.Status
	status.ObservedGeneration = s.receiver.Generation
	status.LastHandledReconcileAt = s.receiver.Annotations[v1alpha1.RequestedAtAnnotation]
	status.WebhookPath = s.path
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.receiver.Generation, Now: s.now}
	conditions.Kstatus(result, v1alpha1.SucceededReason, "pushes are received; the path stands in status.webhookPath")
	if s.suspended {
		conditions.Remove(v1alpha1.ReconcilingCondition)
	}
}

// SetupWithManager starts the controller with the manager, and the server when
// there is an address. The manager's scheme needs the GitOps kinds and the core
// kinds.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Clock == nil {
		deps.Clock = clock.RealClock{}
	}
	r := &reconciler{secrets: mgr.GetAPIReader(), clock: deps.Clock, served: deps.Address != ""}
	engine := flow.New(r.definition(), flow.Deps{
		Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("slipway-" + Name), Clock: deps.Clock, Metrics: deps.Metrics,
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.Receiver{}, builder.WithPredicates(asked())).
		WithOptions(controller.Options{
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Complete(engine)
	if err != nil {
		return fmt.Errorf("set up the %s controller: %w", Name, err)
	}
	if deps.Address == "" {
		return nil
	}
	if err := index(mgr); err != nil {
		return err
	}
	server := &Server{Address: deps.Address, Handler: NewHandler(mgr.GetClient(), mgr.GetAPIReader(), deps.Clock)}
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("add the webhooks' server: %w", err)
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

// pathIndex finds receivers by their path.
const pathIndex = "receiver.path"

func index(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Receiver{}, pathIndex, byPath)
	if err != nil {
		return fmt.Errorf("index receivers by their path: %w", err)
	}
	return nil
}

func byPath(o client.Object) []string {
	r, ok := o.(*v1alpha1.Receiver)
	if !ok || r.Status.WebhookPath == "" {
		return nil
	}
	return []string{r.Status.WebhookPath}
}

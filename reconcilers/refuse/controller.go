package refuse

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Deps are the collaborators of the refusing controllers.
type Deps struct {
	Clock clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
}

// SetupWithManager adds a controller for each refused kind.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	for _, k := range kinds() {
		r := reconciler(k, flow.Deps{
			Client:   mgr.GetClient(),
			Recorder: mgr.GetEventRecorder(k.name),
			Clock:    deps.Clock,
			Metrics:  deps.Metrics,
		})
		err := ctrl.NewControllerManagedBy(mgr).
			Named(k.name).
			For(k.newObject(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
			Complete(r)
		if err != nil {
			return fmt.Errorf("add controller %s: %w", k.name, err)
		}
	}
	return nil
}

// scope is what one run knows: the object, and when it looked.
type scope struct {
	object client.Object
	now    time.Time
}

func reconciler(k kind, deps flow.Deps) *flow.Reconciler[client.Object, *scope] {
	return flow.New(flow.Definition[client.Object, *scope]{
		Name:   k.name,
		New:    k.newObject,
		Scope:  func(o client.Object) *scope { return &scope{object: o, now: deps.Clock.Now()} },
		Steps:  []flow.Step[*scope]{{Name: "refuse", Do: refuse(k)}},
		Report: func(s *scope, r flow.Result) { report(k, s, r) },
	}, deps)
}

func refuse(k kind) func(context.Context, *scope) flow.Outcome {
	return func(ctx context.Context, s *scope) flow.Outcome {
		if _, seen := k.status(s.object.DeepCopyObject().(client.Object)); *seen != s.object.GetGeneration() {
			flow.Warn(ctx, NotSupported, "%s", k.message)
		}
		return flow.Stall(NotSupported, "%s", k.message)
	}
}

func report(k kind, s *scope, result flow.Result) {
	conditions, generation := k.status(s.object)
	c := flow.Conditions{List: conditions, Generation: s.object.GetGeneration(), Now: s.now}
	c.False(k.condition, result.Outcome.Reason(), result.Outcome.Message())
	*generation = s.object.GetGeneration()
}

package source

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// lostArtifact lets through Environments whose source's artifact is no longer
// stored. Their status is how a source learns of it before its interval is over.
func lostArtifact() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool {
		env, ok := o.(*v1alpha1.Environment)
		if !ok {
			return false
		}
		ready := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReadyCondition)
		return ready != nil && ready.Reason == v1alpha1.ArtifactLostReason
	})
}

// sourceOfLost maps an Environment to its source, when that is of a kind.
func sourceOfLost(kind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		env, ok := o.(*v1alpha1.Environment)
		if !ok || !env.Spec.SourceRef.Is(kind) {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: env.Namespace, Name: env.Spec.SourceRef.Name}}}
	})
}

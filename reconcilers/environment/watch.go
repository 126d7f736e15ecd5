package environment

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

// syncTimeout is how long the first list of a kind may take.
const syncTimeout = 30 * time.Second

// newCache makes the cache of owned objects: only those with our label, without
// secret values, shared and never changed.
func newCache(mgr ctrl.Manager) (cache.Cache, error) {
	owned, err := labels.NewRequirement(v1alpha1.EnvironmentLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("select owned objects: %w", err)
	}
	observed, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:                   mgr.GetHTTPClient(),
		Scheme:                       mgr.GetScheme(),
		Mapper:                       mgr.GetRESTMapper(),
		DefaultLabelSelector:         labels.NewSelector().Add(*owned),
		DefaultUnsafeDisableDeepCopy: ptr.To(true),
		DefaultTransform: func(object any) (any, error) {
			if u, ok := object.(*unstructured.Unstructured); ok {
				return slim(u), nil
			}
			return object, nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of owned objects: %w", err)
	}
	if err := mgr.Add(observed); err != nil {
		return nil, fmt.Errorf("run the cache of owned objects: %w", err)
	}
	return observed, nil
}

// watches are informers of kinds, each started when the first object of its kind
// is met.
type watches struct {
	cache      cache.Cache
	controller controller.Controller
	handler    handler.TypedEventHandler[*unstructured.Unstructured, reconcile.Request]
	mu         sync.Mutex
	started    map[schema.GroupVersionKind]bool
}

// newWatches are the informers of the kinds that Environments apply.
func newWatches(observed cache.Cache, c controller.Controller, m *memory) *watches {
	return &watches{cache: observed, controller: c, handler: owners{m}.handler(), started: map[schema.GroupVersionKind]bool{}}
}

// ensure watches a kind and waits until its objects are listed. A kind that the
// cluster does not know has no objects.
func (w *watches) ensure(ctx context.Context, gvk schema.GroupVersionKind) error {
	if w.has(gvk) {
		return nil
	}
	kind := &unstructured.Unstructured{}
	kind.SetGroupVersionKind(gvk)
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	_, err := w.cache.GetInformer(ctx, kind)
	switch {
	case meta.IsNoMatchError(err):
		return nil
	case err != nil:
		return fmt.Errorf("watch %s (the controller needs get, list and watch on it): %w", gvk.GroupKind(), err)
	}
	return w.start(gvk, kind)
}

func (w *watches) has(gvk schema.GroupVersionKind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started[gvk]
}

func (w *watches) start(gvk schema.GroupVersionKind, kind *unstructured.Unstructured) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started[gvk] {
		return nil
	}
	if err := w.controller.Watch(source.Kind(w.cache, kind, w.handler)); err != nil {
		return fmt.Errorf("watch %s: %w", gvk.GroupKind(), err)
	}
	w.started[gvk] = true
	return nil
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// owners wake those who care about an object.
type owners struct{ memory *memory }

// handler wakes the Environment that owns an object, and those that want it.
func (w owners) handler() handler.TypedEventHandler[*unstructured.Unstructured, reconcile.Request] {
	return handler.TypedFuncs[*unstructured.Unstructured, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*unstructured.Unstructured], q queue) {
			w.memory.observed(e.Object)
			w.wake(q, e.Object)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*unstructured.Unstructured], q queue) {
			w.memory.observed(e.ObjectNew)
			if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				w.wake(q, e.ObjectOld, e.ObjectNew)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*unstructured.Unstructured], q queue) {
			w.memory.gone(plan.KeyOf(e.Object))
			w.wake(q, e.Object)
		},
	}
}

func (w owners) wake(q queue, objects ...*unstructured.Unstructured) {
	for _, u := range objects {
		l := u.GetLabels()
		q.Add(reconcile.Request{NamespacedName: types.NamespacedName{
			Namespace: l[v1alpha1.EnvironmentNamespaceLabel], Name: l[v1alpha1.EnvironmentLabel],
		}})
	}
	for _, env := range w.memory.wanting(plan.KeyOf(objects[0])) {
		q.Add(reconcile.Request{NamespacedName: env})
	}
}

// read reads objects through the informers of their kinds.
func (r *reconciler) read(ctx context.Context, s *scope, refs []v1alpha1.ObjectReference) ([]*unstructured.Unstructured, error) {
	direct := directReader{s.client}
	if r.watches == nil {
		return gather(ctx, direct, refs)
	}
	for _, gvk := range groupVersionKinds(refs) {
		if err := r.watches.ensure(ctx, gvk); err != nil {
			return nil, err
		}
	}
	return gather(ctx, cachedReader{cache: r.watches.cache, wrote: r.memory, direct: direct}, refs)
}

// asked lets through changes of the spec, deletions and requests by annotation.
func asked() builder.ForOption {
	return builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetAnnotations()[v1alpha1.RequestedAtAnnotation] != e.ObjectNew.GetAnnotations()[v1alpha1.RequestedAtAnnotation]
		},
	}))
}

// moved lets through sources whose artifact changed, or that have none and say
// something new about it.
func moved() builder.WatchesOption {
	return builder.WithPredicates(predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, after := artifactName(e.ObjectOld), artifactName(e.ObjectNew)
			return before != after || after == ""
		},
	})
}

// artifactName names an artifact and the moment it became current, so that one that
// was lost and stored again wakes those who wait for it.
func artifactName(o client.Object) string {
	a, _ := artifactOf(o)
	if a == nil {
		return ""
	}
	return a.Digest + "/" + a.Revision + "/" + a.LastUpdateTime.String()
}

// usersOf maps a source of a kind to the Environments that refer to it.
func (r *reconciler) usersOf(kind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		list := &v1alpha1.EnvironmentList{}
		if err := r.reader.List(ctx, list, client.InNamespace(o.GetNamespace())); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list Environments of a source")
			return nil
		}
		var requests []reconcile.Request
		for i := range list.Items {
			if ref := list.Items[i].Spec.SourceRef; ref.Is(kind) && ref.Name == o.GetName() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return requests
	})
}

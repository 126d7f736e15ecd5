package environment

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

// observers watch objects that no Environment applied, one by one, as the
// ServiceAccounts that ask for their health: no account learns through the
// controller of what it may not see itself.
type observers struct {
	clients Clients
	// woken are the Environments whose objects changed.
	woken chan event.GenericEvent

	mu sync.Mutex
	// running until the process ends; nil before it runs.
	running context.Context //nolint:containedctx // observers live longer than the runs that start them
	watched map[types.NamespacedName]map[observation]*observer
}

// observation is what somebody watches.
type observation struct {
	account types.NamespacedName
	object  v1alpha1.ObjectReference
}

type observer struct {
	informer toolscache.SharedInformer
	stop     context.CancelFunc
	mu       sync.Mutex
	denied   error
}

func newObservers(clients Clients) *observers {
	return &observers{
		clients: clients, woken: make(chan event.GenericEvent), watched: map[types.NamespacedName]map[observation]*observer{},
	}
}

// Start implements manager.Runnable.
func (o *observers) Start(ctx context.Context) error {
	o.mu.Lock()
	o.running = ctx
	o.mu.Unlock()
	<-ctx.Done()
	return nil
}

// want watches these objects for an Environment, and no others.
func (o *observers) want(env, account types.NamespacedName, refs []v1alpha1.ObjectReference) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.watched[env]
	if o.running == nil || len(before)+len(refs) == 0 {
		return
	}
	after := make(map[observation]*observer, len(refs))
	for _, ref := range refs {
		what := observation{account, ref}
		if after[what] = before[what]; after[what] == nil {
			after[what] = o.observe(env, what)
		}
		delete(before, what)
	}
	for _, old := range before {
		old.stop()
	}
	o.watched[env] = after
	if len(after) == 0 {
		delete(o.watched, env)
	}
}

// forget stops watching for an Environment.
func (o *observers) forget(env types.NamespacedName) { o.want(env, types.NamespacedName{}, nil) }

// read returns an object as it was seen last; known is false while nothing was
// seen yet. It fails when the account may not watch the object.
func (o *observers) read(env, account types.NamespacedName, ref v1alpha1.ObjectReference) (u *unstructured.Unstructured, known bool, err error) {
	o.mu.Lock()
	seen := o.watched[env][observation{account, ref}]
	o.mu.Unlock()
	if seen == nil {
		return nil, false, nil
	}
	if err := seen.failure(); err != nil {
		return nil, false, fmt.Errorf("watch %s (ServiceAccount %s needs get, list and watch on it): %w", plan.KeyOfReference(ref), account.Name, err)
	}
	if !seen.informer.HasSynced() {
		return nil, false, nil
	}
	for _, object := range seen.informer.GetStore().List() {
		if u, ok := object.(*unstructured.Unstructured); ok && u.GetName() == ref.Name {
			return u, true, nil
		}
	}
	return nil, true, nil
}

func (o *observer) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.denied
}

// observe starts to watch one object.
func (o *observers) observe(env types.NamespacedName, what observation) *observer {
	ctx, cancel := context.WithCancel(o.running)
	started := &observer{stop: cancel}
	wake := func() { o.wake(ctx, env) }
	started.informer = toolscache.NewSharedInformer(o.lister(what, func(err error) error {
		if started.answered(err) {
			wake()
		}
		return err
	}), blank(what.object), 0)
	// Neither can fail before the informer runs.
	_ = started.informer.SetTransform(func(object any) (any, error) {
		if u, ok := object.(*unstructured.Unstructured); ok {
			return slim(u), nil
		}
		return object, nil
	})
	_, _ = started.informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() },
	})
	go started.informer.Run(ctx.Done())
	return started
}

// answered notes whether the account may watch, and tells whether that is news.
func (o *observer) answered(err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil && !apierrors.IsForbidden(err) {
		return false // it passes, and is tried again
	}
	news := (o.denied == nil) != (err == nil)
	o.denied = err
	return news
}

func (o *observers) wake(ctx context.Context, env types.NamespacedName) {
	select {
	case o.woken <- event.GenericEvent{Object: &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: env.Name}}}:
	case <-ctx.Done():
	}
}

// lister lists and watches one object as an account, and shows how that ended.
func (o *observers) lister(what observation, ended func(error) error) toolscache.ListerWatcher {
	options := func(raw metav1.ListOptions) *client.ListOptions {
		return &client.ListOptions{
			Namespace: what.object.Namespace, FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, what.object.Name), Raw: &raw,
		}
	}
	list := func() *unstructured.UnstructuredList {
		l := &unstructured.UnstructuredList{}
		gvk := gvkOf(what.object)
		gvk.Kind += "List"
		l.SetGroupVersionKind(gvk)
		return l
	}
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			as, err := o.as(what.account)
			if err != nil {
				return nil, err
			}
			into := list()
			return into, ended(as.List(ctx, into, options(raw)))
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			as, err := o.as(what.account)
			if err != nil {
				return nil, err
			}
			events, err := as.Watch(ctx, list(), options(raw))
			return events, ended(err)
		},
	}
}

func (o *observers) as(account types.NamespacedName) (client.WithWatch, error) {
	c, err := o.clients.As(account)
	if err != nil {
		return nil, err
	}
	watching, able := c.(client.WithWatch)
	if !able {
		return nil, fmt.Errorf("watch as ServiceAccount %s: its client cannot watch", account)
	}
	return watching, nil
}

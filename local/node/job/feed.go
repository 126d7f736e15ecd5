package job

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Name names the work for an object, and for no other that has its name later.
func Name(obj client.Object) string { return NameOf(client.ObjectKeyFromObject(obj), obj.GetUID()) }

// NameOf is Name for an object that may be gone.
func NameOf(key types.NamespacedName, uid types.UID) string {
	return key.Namespace + "/" + key.Name + "/" + string(uid)
}

// Key is the inverse of Name, as far as the object's name goes.
func Key(job string) types.NamespacedName {
	namespace, rest, _ := strings.Cut(job, "/")
	name, _, _ := strings.Cut(rest, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// Feed turns what jobs tell into events for the controller of one kind, for as long as the manager runs.
func (r *Runner) Feed(mgr ctrl.Manager, object func() client.Object) <-chan event.GenericEvent {
	out := make(chan event.GenericEvent)
	_ = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case job := <-r.events:
				obj, key := object(), Key(job)
				obj.SetNamespace(key.Namespace)
				obj.SetName(key.Name)
				select {
				case out <- event.GenericEvent{Object: obj}:
				case <-ctx.Done():
					return nil
				}
			}
		}
	}))
	return out
}

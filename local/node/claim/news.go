package claim

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/local/node/instance"
)

// news turns what volumes in the making tell into events for the controller, for as long as the manager runs.
func (r *Reconciler) news(mgr ctrl.Manager) <-chan event.GenericEvent {
	out := make(chan event.GenericEvent)
	_ = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case job := <-r.jobs.Events():
				pvc := &corev1.PersistentVolumeClaim{}
				key := jobKey(job)
				pvc.Namespace, pvc.Name = key.Namespace, key.Name
				select {
				case out <- event.GenericEvent{Object: pvc}:
				case <-ctx.Done():
					return nil
				}
			}
		}
	}))
	return out
}

// claimsOf are the claims that an instance uses.
func claimsOf(_ context.Context, obj client.Object) []reconcile.Request {
	vmi, ok := obj.(*virtv1.VirtualMachineInstance)
	if !ok {
		return nil
	}
	var out []reconcile.Request
	for _, name := range instance.Claims(&vmi.Spec) {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: vmi.Namespace, Name: name}})
	}
	return out
}

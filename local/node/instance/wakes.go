package instance

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/local/node/job"
)

// news turns what processes and preparations tell into the events that a controller's source takes, for as long as the
// manager runs. It begins with every instance that was taken over, so that those without an object are ended.
func (r *Reconciler) news(mgr ctrl.Manager) <-chan event.GenericEvent {
	out := make(chan event.GenericEvent)
	_ = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for _, key := range r.Runtime.Keys() {
			send(ctx, out, key)
		}
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case key := <-r.Runtime.Wakes():
				send(ctx, out, key)
			case name := <-r.jobs.Events():
				send(ctx, out, job.Key(name))
			}
		}
		return nil
	}))
	return out
}

func send(ctx context.Context, out chan<- event.GenericEvent, key types.NamespacedName) {
	vmi := &virtv1.VirtualMachineInstance{}
	vmi.Namespace, vmi.Name = key.Namespace, key.Name
	select {
	case out <- event.GenericEvent{Object: vmi}:
	case <-ctx.Done():
	}
}

// usersOf are the unfinished instances that use a claim.
func (r *Reconciler) usersOf(ctx context.Context, claim client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineInstanceList
	if err := r.Client.List(ctx, &list, client.InNamespace(claim.GetNamespace())); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if !Final(list.Items[i].Status.Phase) && Uses(&list.Items[i].Spec, claim.GetName()) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

// Uses says whether an instance has a volume on the claim.
func Uses(spec *virtv1.VirtualMachineInstanceSpec, claim string) bool {
	for _, v := range spec.Volumes {
		for _, name := range claimNames(&v) {
			if name == claim {
				return true
			}
		}
	}
	return false
}

func claimNames(v *virtv1.Volume) []string {
	var out []string
	if v.PersistentVolumeClaim != nil {
		out = append(out, v.PersistentVolumeClaim.ClaimName)
	}
	if v.DataVolume != nil {
		out = append(out, v.DataVolume.Name)
	}
	if v.Ephemeral != nil && v.Ephemeral.PersistentVolumeClaim != nil {
		out = append(out, v.Ephemeral.PersistentVolumeClaim.ClaimName)
	}
	return out
}

// Claims are the names of the claims that an instance uses.
func Claims(spec *virtv1.VirtualMachineInstanceSpec) []string {
	var out []string
	for i := range spec.Volumes {
		out = append(out, claimNames(&spec.Volumes[i])...)
	}
	return out
}

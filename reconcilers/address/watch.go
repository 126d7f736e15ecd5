package address

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Fields by which the cache is searched.
const (
	machineIndex = "address.machinesOfAddress"
	holderIndex  = "address.leasesOfAddress"
)

func index(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha2.VirtualMachine{}, machineIndex, addressesOfMachine); err != nil {
		return fmt.Errorf("index machines by address: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha2.VirtualMachineIPAddressLease{}, holderIndex, holdersOfLease); err != nil {
		return fmt.Errorf("index leases by address: %w", err)
	}
	return nil
}

// addressesOfMachine are the addresses that a machine wants or still has.
func addressesOfMachine(obj client.Object) []string {
	vm, ok := obj.(*v1alpha2.VirtualMachine)
	if !ok {
		return nil
	}
	wants, has := NameFor(vm), vm.Status.VirtualMachineIPAddressName
	if has == "" || has == wants {
		return []string{wants}
	}
	return []string{wants, has}
}

func holdersOfLease(obj client.Object) []string {
	lease, ok := obj.(*v1alpha2.VirtualMachineIPAddressLease)
	if !ok || lease.Spec.VirtualMachineIPAddressRef == nil {
		return nil
	}
	return []string{holder(lease)}
}

// holder is "namespace/name" of the address that holds the lease, or empty.
func holder(lease *v1alpha2.VirtualMachineIPAddressLease) string {
	ref := lease.Spec.VirtualMachineIPAddressRef
	if ref == nil {
		return ""
	}
	return ref.Namespace + "/" + ref.Name
}

func requestsForMachine(_ context.Context, obj client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range addressesOfMachine(obj) {
		requests = append(requests, request(obj.GetNamespace(), name))
	}
	return requests
}

// requestsForLease wakes the holder of a lease, and every address that waits for
// a free one.
func requestsForLease(c client.Client) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		lease, ok := obj.(*v1alpha2.VirtualMachineIPAddressLease)
		if !ok {
			return nil
		}
		var requests []reconcile.Request
		if ref := lease.Spec.VirtualMachineIPAddressRef; ref != nil {
			requests = append(requests, request(ref.Namespace, ref.Name))
		}
		var addresses v1alpha2.VirtualMachineIPAddressList
		if err := c.List(ctx, &addresses); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list addresses for a changed lease")
			return requests
		}
		for i := range addresses.Items {
			if a := &addresses.Items[i]; a.Status.Phase == v1alpha2.AddressPending {
				requests = append(requests, request(a.Namespace, a.Name))
			}
		}
		return requests
	}
}

func leasesOfAddress(c client.Client) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		var leases v1alpha2.VirtualMachineIPAddressLeaseList
		key := client.ObjectKeyFromObject(obj).String()
		if err := c.List(ctx, &leases, client.MatchingFields{holderIndex: key}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list leases of a changed address")
			return nil
		}
		var requests []reconcile.Request
		for i := range leases.Items {
			requests = append(requests, request("", leases.Items[i].Name))
		}
		return requests
	}
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
}

package machine

import (
	"context"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/address"
)

// Fields by which the cache finds the machines that depend on an object.
const (
	classIndex   = "machine.byClass"
	addressIndex = "machine.byAddress"
	deviceIndex  = "machine.byDevice"
	secretIndex  = "machine.bySecret"
)

// indexes are the keys of a machine in each field.
var indexes = map[string]func(vm *v1alpha2.VirtualMachine) []string{
	classIndex:   func(vm *v1alpha2.VirtualMachine) []string { return []string{vm.Spec.VirtualMachineClassName} },
	addressIndex: func(vm *v1alpha2.VirtualMachine) []string { return []string{vm.Namespace + "/" + address.NameFor(vm)} },
	deviceIndex:  devicesOf,
	secretIndex:  secretsOf,
}

func index(ctx context.Context, indexer client.FieldIndexer) error {
	for field, keys := range indexes {
		if err := indexer.IndexField(ctx, &v1alpha2.VirtualMachine{}, field, keysOf(keys)); err != nil {
			return fmt.Errorf("index machines by %s: %w", field, err)
		}
	}
	return nil
}

func keysOf(keys func(*v1alpha2.VirtualMachine) []string) client.IndexerFunc {
	return func(obj client.Object) []string {
		vm, ok := obj.(*v1alpha2.VirtualMachine)
		if !ok {
			return nil
		}
		return keys(vm)
	}
}

func devicesOf(vm *v1alpha2.VirtualMachine) []string {
	var keys []string
	for _, ref := range vm.Spec.BlockDeviceRefs {
		namespace := vm.Namespace
		if ref.Kind == v1alpha2.ClusterImageDevice {
			namespace = ""
		}
		keys = append(keys, string(ref.Kind)+"/"+namespace+"/"+ref.Name)
	}
	return keys
}

func secretsOf(vm *v1alpha2.VirtualMachine) []string {
	if name := provisioningSecret(vm.Spec.Provisioning); name != "" {
		return []string{vm.Namespace + "/" + name}
	}
	return nil
}

func nameKey(obj client.Object) string { return obj.GetName() }

func namespacedKey(obj client.Object) string { return obj.GetNamespace() + "/" + obj.GetName() }

func deviceKey(kind v1alpha2.BlockDeviceKind) func(client.Object) string {
	return func(obj client.Object) string { return string(kind) + "/" + namespacedKey(obj) }
}

// machinesBy wakes the machines that have the object's key in a field.
func machinesBy(c client.Client, field string, key func(client.Object) string) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		var machines v1alpha2.VirtualMachineList
		if err := c.List(ctx, &machines, client.MatchingFields{field: key(obj)}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list machines of a changed object", "field", field, "object", namespacedKey(obj))
			return nil
		}
		var requests []reconcile.Request
		for i := range machines.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&machines.Items[i])})
		}
		return requests
	}
}

// specOrMetadata leaves out events that only carry a status of our own.
func specOrMetadata() predicate.Predicate {
	return predicate.Or(
		predicate.GenerationChangedPredicate{},
		predicate.AnnotationChangedPredicate{},
		predicate.LabelChangedPredicate{},
		predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
			return !slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers()) ||
				e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
		}},
	)
}

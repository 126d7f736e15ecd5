package snapshot

import (
	"context"
	"fmt"

	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/lineage"
)

// Fields under which the cache finds snapshots by their disk, and disks and images
// by the snapshot that they are made from.
const (
	diskIndex   = "snapshot.disk"
	sourceIndex = "snapshot.source"
	originIndex = "snapshot.origin"
)

// index teaches the cache to find what the controller looks for.
func index(ctx context.Context, indexer client.FieldIndexer) error {
	fields := []struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}{
		{&v1alpha2.VirtualDiskSnapshot{}, diskIndex, diskOfSnapshot},
		{&v1alpha2.VirtualDisk{}, sourceIndex, snapshotOfDisk},
		{&v1alpha2.VirtualImage{}, originIndex, snapshotOfImage},
		{&v1alpha2.ClusterVirtualImage{}, originIndex, snapshotOfImage},
	}
	for _, f := range fields {
		if err := indexer.IndexField(ctx, f.object, f.name, f.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", f.object, f.name, err)
		}
	}
	return nil
}

func diskOfSnapshot(obj client.Object) []string {
	if snapshot, ok := obj.(*v1alpha2.VirtualDiskSnapshot); ok {
		return []string{snapshot.Spec.VirtualDiskName}
	}
	return nil
}

func snapshotOfDisk(obj client.Object) []string {
	vd, ok := obj.(*v1alpha2.VirtualDisk)
	if !ok || vd.Spec.DataSource == nil || vd.Spec.DataSource.ObjectRef == nil {
		return nil
	}
	if ref := vd.Spec.DataSource.ObjectRef; ref.Kind == v1alpha2.ObjectRefVirtualDiskSnapshot {
		return []string{ref.Name}
	}
	return nil
}

// snapshotOfImage names the snapshot that an image is made from, as namespace/name.
func snapshotOfImage(obj client.Object) []string {
	from, ok := lineage.Of(obj)
	if !ok || from.Kind != v1alpha2.ObjectRefVirtualDiskSnapshot {
		return nil
	}
	return []string{from.Key.String()}
}

// wakeByImage wakes the snapshot that an image is made from.
func wakeByImage(_ context.Context, image client.Object) []ctrl.Request {
	if snapshotOfImage(image) == nil {
		return nil
	}
	from, _ := lineage.Of(image)
	return []ctrl.Request{{NamespacedName: from.Key}}
}

// wakeByDisk wakes the unsettled snapshots of a disk, and the one that it is
// made from.
func wakeByDisk(c client.Client) handler.MapFunc {
	return func(ctx context.Context, disk client.Object) []ctrl.Request {
		requests := unsettled(ctx, c, disk.GetNamespace(), client.MatchingFields{diskIndex: disk.GetName()})
		for _, name := range snapshotOfDisk(disk) {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: disk.GetNamespace(), Name: name}})
		}
		return requests
	}
}

// wakeByInstance wakes the unsettled snapshots in the namespace of an instance.
func wakeByInstance(c client.Client) handler.MapFunc {
	return func(ctx context.Context, vmi client.Object) []ctrl.Request {
		return unsettled(ctx, c, vmi.GetNamespace())
	}
}

func unsettled(ctx context.Context, c client.Client, namespace string, options ...client.ListOption) []ctrl.Request {
	var snapshots v1alpha2.VirtualDiskSnapshotList
	if err := c.List(ctx, &snapshots, append(options, client.InNamespace(namespace))...); err != nil {
		log.FromContext(ctx).Error(err, "list the snapshots to wake")
		return nil
	}
	var requests []ctrl.Request
	for i := range snapshots.Items {
		if snapshots.Items[i].Status.Phase != v1alpha2.SnapshotReady {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&snapshots.Items[i])})
		}
	}
	return requests
}

// guestChanged passes changes of an instance that matter to a snapshot: whether
// its guest can be frozen, and for whom it is.
func guestChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, _ := e.ObjectOld.(*virtv1.VirtualMachineInstance)
		after, _ := e.ObjectNew.(*virtv1.VirtualMachineInstance)
		if before == nil || after == nil {
			return true
		}
		return before.Status.Phase != after.Status.Phase || cannotFreeze(before) != cannotFreeze(after) ||
			before.Annotations[frozenBy] != after.Annotations[frozenBy]
	}}
}

// imageUse passes changes that make an image read its snapshot, or no more.
func imageUse() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return lineage.Reads(e.ObjectOld) != lineage.Reads(e.ObjectNew)
	}}
}

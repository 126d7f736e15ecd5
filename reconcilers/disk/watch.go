package disk

import (
	"context"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// Fields under which the cache finds machines by the disks they name, images and
// snapshots by their disk, and disks by what they are made from and the Secret they pull
// with.
const (
	diskIndex     = "disk.machines"
	imageIndex    = "disk.images"
	snapshotIndex = "disk.snapshots"
	sourceIndex   = "disk.source"
	secretIndex   = "disk.pullSecret"
)

// index teaches the cache to find what the controller looks for.
func index(ctx context.Context, indexer client.FieldIndexer) error {
	fields := []struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}{
		{&v1alpha2.VirtualMachine{}, diskIndex, disksOfMachine},
		{&v1alpha2.VirtualDiskSnapshot{}, snapshotIndex, snapshotDisk},
		{&v1alpha2.VirtualImage{}, imageIndex, diskOfImage},
		{&v1alpha2.ClusterVirtualImage{}, imageIndex, diskOfImage},
		{&v1alpha2.VirtualDisk{}, sourceIndex, sourceOfDisk},
		{&v1alpha2.VirtualDisk{}, secretIndex, secretOfDisk},
	}
	for _, f := range fields {
		if err := indexer.IndexField(ctx, f.object, f.name, f.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", f.object, f.name, err)
		}
	}
	return nil
}

func disksOfMachine(obj client.Object) []string {
	vm, ok := obj.(*v1alpha2.VirtualMachine)
	if !ok {
		return nil
	}
	var names []string
	for _, ref := range vm.Spec.BlockDeviceRefs {
		if ref.Kind == v1alpha2.DiskDevice {
			names = append(names, ref.Name)
		}
	}
	return names
}

// sourceOfDisk and imageKey name an image or snapshot alike; a cluster-wide one
// has no namespace.
func sourceOfDisk(obj client.Object) []string {
	vd, ok := obj.(*v1alpha2.VirtualDisk)
	if !ok || vd.Spec.DataSource == nil || vd.Spec.DataSource.ObjectRef == nil {
		return nil
	}
	ref := vd.Spec.DataSource.ObjectRef
	if ref.Kind == v1alpha2.ObjectRefClusterVirtualImage {
		return []string{string(ref.Kind) + "//" + ref.Name}
	}
	return []string{string(ref.Kind) + "/" + vd.Namespace + "/" + ref.Name}
}

func imageKey(obj client.Object) string {
	kind := v1alpha2.VirtualImageKind
	switch obj.(type) {
	case *v1alpha2.ClusterVirtualImage:
		kind = v1alpha2.ClusterVirtualImageKind
	case *v1alpha2.VirtualDiskSnapshot:
		kind = v1alpha2.VirtualDiskSnapshotKind
	}
	return kind + "/" + obj.GetNamespace() + "/" + obj.GetName()
}

func secretOfDisk(obj client.Object) []string {
	vd, ok := obj.(*v1alpha2.VirtualDisk)
	if !ok || vd.Spec.DataSource == nil || vd.Spec.DataSource.ContainerImage == nil {
		return nil
	}
	trust, _ := intake.SignedBy(vd) //nolint:errcheck // the step "source" reports it
	var keys []string
	for _, name := range []string{vd.Spec.DataSource.ContainerImage.ImagePullSecret.Name, trust.Name} {
		if name != "" {
			keys = append(keys, vd.Namespace+"/"+name)
		}
	}
	return keys
}

func secretKey(obj client.Object) string { return obj.GetNamespace() + "/" + obj.GetName() }

func snapshotDisk(obj client.Object) []string {
	if snapshot, ok := obj.(*v1alpha2.VirtualDiskSnapshot); ok {
		return []string{snapshot.Spec.VirtualDiskName}
	}
	return nil
}

// diskOfSnapshot is the disk that a snapshot is of.
func diskOfSnapshot(_ context.Context, obj client.Object) []ctrl.Request {
	var requests []ctrl.Request
	for _, name := range snapshotDisk(obj) {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: name}})
	}
	return requests
}

// disksToWake are the disks that a machine names.
func disksToWake(_ context.Context, obj client.Object) []ctrl.Request {
	var requests []ctrl.Request
	for _, name := range disksOfMachine(obj) {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: name}})
	}
	return requests
}

// enqueueBy wakes the disks that an index finds under an object's key.
func enqueueBy(c client.Client, field string, key func(client.Object) string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []ctrl.Request {
		return requests(ctx, c, always, client.MatchingFields{field: key(obj)})
	})
}

// enqueueUnfilled wakes the disks that have no volume yet, and those that may
// grow now.
func enqueueUnfilled(c client.Client) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []ctrl.Request {
		return requests(ctx, c, unsettled)
	})
}

func always(*v1alpha2.VirtualDisk) bool { return true }

// unsettled tells whether a storage class may change how a disk stands.
func unsettled(vd *v1alpha2.VirtualDisk) bool {
	s := &scope{disk: vd, old: vd.Status}
	return !s.wasFilled() || s.resizingMessage() != ""
}

func requests(ctx context.Context, c client.Client, wanted func(*v1alpha2.VirtualDisk) bool, options ...client.ListOption) []ctrl.Request {
	var disks v1alpha2.VirtualDiskList
	if err := c.List(ctx, &disks, options...); err != nil {
		log.FromContext(ctx).Error(err, "list the disks to wake")
		return nil
	}
	var found []ctrl.Request
	for i := range disks.Items {
		if wanted(&disks.Items[i]) {
			found = append(found, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&disks.Items[i])})
		}
	}
	return found
}

// machineUse passes changes that make a machine use other disks, or none.
func machineUse() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, _ := e.ObjectOld.(*v1alpha2.VirtualMachine)
		after, _ := e.ObjectNew.(*v1alpha2.VirtualMachine)
		if before == nil || after == nil {
			return true
		}
		return isActive(*before) != isActive(*after) || isWaiting(*before) != isWaiting(*after) ||
			!slices.Equal(disksOfMachine(before), disksOfMachine(after))
	}}
}

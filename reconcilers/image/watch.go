package image

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/lineage"
)

// secretIndex is the field under which the cache finds images by the Secrets
// that they pull with and that say who must have signed them.
const secretIndex = "image.pullSecret"

// index teaches the cache to find what the controllers look for.
func index(ctx context.Context, indexer client.FieldIndexer) error {
	fields := []struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}{
		{&v1alpha2.VirtualMachine{}, userIndex, imagesOfMachine},
		{&v1alpha2.VirtualDisk{}, userIndex, imageOfDisk},
		{&v1alpha2.VirtualImage{}, secretIndex, secretOfImage},
		{&v1alpha2.ClusterVirtualImage{}, secretIndex, secretOfImage},
		{&v1alpha2.VirtualImage{}, originIndex, originsOf},
		{&v1alpha2.ClusterVirtualImage{}, originIndex, originsOf},
	}
	for _, f := range fields {
		if err := indexer.IndexField(ctx, f.object, f.name, f.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", f.object, f.name, err)
		}
	}
	return nil
}

func secretOfImage(obj client.Object) []string {
	var pull types.NamespacedName
	switch o := obj.(type) {
	case *v1alpha2.VirtualImage:
		_, pull = virtualImageSpec(o)
	case *v1alpha2.ClusterVirtualImage:
		_, pull = clusterVirtualImageSpec(o)
	}
	trust, _ := intake.SignedBy(obj) //nolint:errcheck // the step "source" reports it
	var keys []string
	for _, secret := range []types.NamespacedName{pull, trust} {
		if secret.Name != "" {
			keys = append(keys, secret.String())
		}
	}
	return keys
}

// enqueueImages wakes the images of one kind that an object refers to.
func enqueueImages(t traits, refs func(client.Object) []string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []ctrl.Request {
		var requests []ctrl.Request
		for _, ref := range refs(obj) {
			parts := strings.SplitN(ref, "/", 3)
			if parts[0] == t.kind {
				requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: parts[1], Name: parts[2]}})
			}
		}
		return requests
	})
}

// enqueueBySecret wakes the images that pull with a Secret.
func enqueueBySecret(c client.Client, list client.ObjectList) handler.EventHandler {
	return enqueueFound(c, list, func(secret client.Object) client.MatchingFields {
		return client.MatchingFields{secretIndex: client.ObjectKeyFromObject(secret).String()}
	})
}

// enqueueMade wakes the images that are made from an object of a kind.
func enqueueMade(c client.Client, list client.ObjectList, kind string) handler.EventHandler {
	return enqueueFound(c, list, func(o client.Object) client.MatchingFields {
		return client.MatchingFields{originIndex: refKey(kind, o.GetNamespace(), o.GetName())}
	})
}

// enqueueFound wakes the images of a list that an object's key finds.
func enqueueFound(c client.Client, list client.ObjectList, key func(client.Object) client.MatchingFields) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []ctrl.Request {
		found, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			return nil
		}
		if err := c.List(ctx, found, key(obj)); err != nil {
			log.FromContext(ctx).Error(err, "list the images that depend on an object", "name", obj.GetName())
			return nil
		}
		return requestsOf(found)
	})
}

func requestsOf(list client.ObjectList) []ctrl.Request {
	var requests []ctrl.Request
	for _, obj := range objectsOf(list) {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	}
	return requests
}

func objectsOf(list client.ObjectList) []client.Object {
	var objects []client.Object
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		if obj, ok := o.(client.Object); ok {
			objects = append(objects, obj)
		}
		return nil
	})
	return objects
}

// imageUse passes changes that make an image read its source, or no more.
func imageUse() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return lineage.Reads(e.ObjectOld) != lineage.Reads(e.ObjectNew)
	}}
}

// machineUse passes changes that make a machine use other images, or none.
func machineUse() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, _ := e.ObjectOld.(*v1alpha2.VirtualMachine)
		after, _ := e.ObjectNew.(*v1alpha2.VirtualMachine)
		if before == nil || after == nil {
			return true
		}
		return holdsImages(before) != holdsImages(after) || !slices.Equal(imagesOfMachine(before), imagesOfMachine(after))
	}}
}

// diskUse passes changes that make a disk read another image, or none.
func diskUse() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, _ := e.ObjectOld.(*v1alpha2.VirtualDisk)
		after, _ := e.ObjectNew.(*v1alpha2.VirtualDisk)
		if before == nil || after == nil {
			return true
		}
		return lineage.Fills(before) != lineage.Fills(after) || !slices.Equal(imageOfDisk(before), imageOfDisk(after))
	}}
}

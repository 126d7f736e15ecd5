package guard

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Keep puts the finalizer on the object, or takes it off, as needed says. It
// patches a copy: the caller's object stays as it was fetched, so that a status
// patch that follows meets a conflict and the run is repeated on the new object.
func Keep(ctx context.Context, c client.Client, obj client.Object, finalizer string, needed bool) error {
	held := controllerutil.ContainsFinalizer(obj, finalizer)
	if held == needed || (needed && !obj.GetDeletionTimestamp().IsZero()) {
		return nil
	}
	changed, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("protect %s: a copy of %T is no object", obj.GetName(), obj)
	}
	if needed {
		controllerutil.AddFinalizer(changed, finalizer)
	} else {
		controllerutil.RemoveFinalizer(changed, finalizer)
	}
	patch := client.MergeFromWithOptions(obj, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("set finalizer %s of %s to %t: %w", finalizer, obj.GetName(), needed, err)
	}
	return nil
}

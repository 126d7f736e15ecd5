package kubetest

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is how long a change may take that a test waits for.
const patience = time.Minute

// Await watches an object, which it keeps as it is, until it is as wanted; nil waits until it is gone. The test fails when
// that does not come.
func Await(tb testing.TB, c client.WithWatch, obj client.Object, wanted func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	events, err := c.Watch(ctx, listOf(tb, c, obj), client.InNamespace(obj.GetNamespace()), client.MatchingFields{"metadata.name": obj.GetName()})
	if err != nil {
		tb.Fatalf("watch %T %s: %v", obj, obj.GetName(), err)
	}
	defer events.Stop()
	for {
		err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if wanted == nil && apierrors.IsNotFound(err) {
			return
		}
		if err == nil && wanted != nil && wanted() {
			return
		}
		if event, open := <-events.ResultChan(); !open || event.Type == watch.Error {
			tb.Fatalf("%T %s never came to be as wanted; it is %+v", obj, obj.GetName(), obj)
		}
	}
}

// listOf is an empty list of the object's kind.
func listOf(tb testing.TB, c client.Client, obj client.Object) client.ObjectList {
	tb.Helper()
	kind, err := c.GroupVersionKindFor(obj)
	if err != nil {
		tb.Fatalf("find the kind of %T: %v", obj, err)
	}
	kind.Kind += "List"
	found, err := c.Scheme().New(kind)
	if err != nil {
		tb.Fatalf("make a list of %T: %v", obj, err)
	}
	list, ok := found.(client.ObjectList)
	if !ok {
		tb.Fatalf("%T is no list of objects", found)
	}
	return list
}

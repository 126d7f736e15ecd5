// Package flowtest runs reconcilers synchronously in tests: one call, one run,
// with what it returned, the events it posted and the object as it is after.
package flowtest

import (
	"fmt"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Recorder keeps events in the order they were posted, as "Type Reason message".
type Recorder struct {
	mu     sync.Mutex
	events []string
}

// Eventf implements events.EventRecorder.
func (r *Recorder) Eventf(_, _ runtime.Object, eventType, reason, _, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, eventType+" "+reason+" "+fmt.Sprintf(note, args...))
}

// Drain returns the events posted since the last call.
func (r *Recorder) Drain() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	drained := r.events
	r.events = nil
	return drained
}

// Reconcile runs the reconciler once for the object, reads the object back into
// obj when it still exists, and returns what the run returned.
func Reconcile(tb testing.TB, c client.Client, r reconcile.Reconciler, obj client.Object) (ctrl.Result, error) {
	tb.Helper()
	key := client.ObjectKeyFromObject(obj)
	result, err := r.Reconcile(tb.Context(), ctrl.Request{NamespacedName: key})
	if getErr := c.Get(tb.Context(), key, obj); client.IgnoreNotFound(getErr) != nil {
		tb.Fatalf("read %s back: %v", key, getErr)
	}
	if err != nil {
		return result, fmt.Errorf("reconcile %s: %w", key, err)
	}
	return result, nil
}

// Settle runs the reconciler until a run neither fails nor changes the object,
// at most limit times, and fails the test when it never settles.
func Settle(tb testing.TB, c client.Client, r reconcile.Reconciler, obj client.Object, limit int) ctrl.Result {
	tb.Helper()
	for range limit {
		before := obj.GetResourceVersion()
		result, err := Reconcile(tb, c, r, obj)
		if err != nil {
			tb.Fatalf("reconcile %s: %v", client.ObjectKeyFromObject(obj), err)
		}
		if obj.GetResourceVersion() == before {
			return result
		}
	}
	tb.Fatalf("%s did not settle in %d runs", client.ObjectKeyFromObject(obj), limit)
	return ctrl.Result{}
}

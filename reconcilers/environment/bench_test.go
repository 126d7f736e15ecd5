package environment

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/render"
)

// BenchmarkUnchanged runs an unchanged environment of ten objects through the
// informers. The design allows 5 ms of CPU and one write for it.
func BenchmarkUnchanged(b *testing.B) {
	w := newWorld(b)
	engine := w.informed()
	files := map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine}
	for i := range 8 {
		name := fmt.Sprint("thing-", i)
		files[name+".yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {a: b}\n"
	}
	w.push("main@sha1:0001", files)
	w.repeat(engine, func() bool { return w.env.Status.LastAppliedRevision != "" })
	w.running()
	w.repeat(engine, func() bool { return meta.IsStatusConditionTrue(w.env.Status.Conditions, v1alpha1.ReadyCondition) })
	before := cpu(b)
	b.ResetTimer()
	for range b.N {
		if _, err := engine.Reconcile(b.Context(), request(client.ObjectKeyFromObject(w.env))); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// informed is the reconciler as a manager runs it, without its queue.
func (w *world) informed() reconcile.Reconciler {
	w.Helper()
	mgr := must(ctrl.NewManager(w.config, ctrl.Options{
		Scheme: w.scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
	}))(w)
	deps := Deps{Trees: w.store, Renderer: render.New(8, nil), Clock: clock.RealClock{}}.withDefaults(mgr)
	r := newReconciler(mgr.GetClient(), deps)
	r.planner.Mapper = mgr.GetRESTMapper()
	idle := reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return reconcile.Result{}, nil })
	r.watches = newWatches(must(newCache(mgr))(w), must(controller.New("idle", mgr, controller.Options{Reconciler: idle}))(w), r.memory)
	go func() { _ = mgr.Start(w.Context()) }()
	if !mgr.GetCache().WaitForCacheSync(w.Context()) {
		w.Fatal("the cache does not sync")
	}
	return flow.New(r.definition(), flow.Deps{Client: mgr.GetClient(), Recorder: w.events, Clock: deps.Clock})
}

// repeat runs until something holds; informers lag behind.
func (w *world) repeat(engine reconcile.Reconciler, until func() bool) {
	w.Helper()
	for range 10000 {
		if _, err := engine.Reconcile(w.Context(), request(client.ObjectKeyFromObject(w.env))); err != nil {
			w.Fatal(err)
		}
		if w.get("prod", w.env); until() {
			return
		}
	}
	w.Fatalf("the Environment does not settle: %+v", w.env.Status.Conditions)
}

func cpu(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

package flow_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

const finalizer = "test.slipway.dev/cleanup"

type scope struct {
	obj   *corev1.Namespace
	trace *[]string
}

type script map[string]flow.Outcome

// definition runs three steps that answer as the script says and reports the
// outcome in the phase, the only free text in a Namespace's status.
func definition(trace *[]string, says script) flow.Definition[*corev1.Namespace, *scope] {
	step := func(name string) flow.Step[*scope] {
		return flow.Step[*scope]{Name: name, Do: func(ctx context.Context, s *scope) flow.Outcome {
			*s.trace = append(*s.trace, name)
			flow.Emit(ctx, "Ran", "%s ran", name)
			return says[name]
		}}
	}
	return flow.Definition[*corev1.Namespace, *scope]{
		Name:      "namespace",
		Finalizer: finalizer,
		New:       func() *corev1.Namespace { return &corev1.Namespace{} },
		Scope:     func(obj *corev1.Namespace) *scope { return &scope{obj: obj, trace: trace} },
		Steps:     []flow.Step[*scope]{step("gather"), step("decide"), step("act")},
		Teardown:  []flow.Step[*scope]{step("release")},
		Report: func(s *scope, r flow.Result) {
			s.obj.Status.Phase = corev1.NamespacePhase(r.Step + ":" + r.Outcome.String())
		},
		Every: func(*scope) time.Duration { return time.Hour },
	}
}

func TestReconcile(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		says      script
		wantTrace []string
		wantPhase string
		want      ctrl.Result
		wantErr   error
	}{
		"all done is repeated after Every": {
			wantTrace: []string{"gather", "decide", "act"}, wantPhase: ":done", want: ctrl.Result{RequeueAfter: time.Hour},
		},
		"a wait stops the run and names its time": {
			says:      script{"decide": flow.Wait("Waiting", time.Minute, "for %s", "it")},
			wantTrace: []string{"gather", "decide"}, wantPhase: "decide:wait", want: ctrl.Result{RequeueAfter: time.Minute},
		},
		"a stall stops the run and is not retried": {
			says:      script{"gather": flow.Stall("Wrong", "spec.%s", "x")},
			wantTrace: []string{"gather"}, wantPhase: "gather:stall",
		},
		"a failure is returned for backoff": {
			says:      script{"act": flow.Fail("Broken", broken)},
			wantTrace: []string{"gather", "decide", "act"}, wantPhase: "act:fail", wantErr: broken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var trace []string
			obj := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
			c := fake.NewClientBuilder().WithObjects(obj).WithStatusSubresource(obj).Build()
			recorder := &flowtest.Recorder{}
			r := flow.New(definition(&trace, tc.says), flow.Deps{Client: c, Recorder: recorder, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})

			got, err := flowtest.Reconcile(t, c, r, obj)
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("error %v, want %v", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantTrace, trace); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantPhase, string(obj.Status.Phase)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if got, want := len(recorder.Drain()), len(tc.wantTrace); got != want {
				t.Errorf("%d events, want %d: one of each step that ran", got, want)
			}
			if !cmp.Equal([]string{finalizer}, obj.Finalizers) {
				t.Errorf("finalizers %v, want %q", obj.Finalizers, finalizer)
			}
		})
	}
}

func TestAnUnchangedStatusIsNotWritten(t *testing.T) {
	var trace []string
	var writes int
	obj := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	c := fake.NewClientBuilder().WithObjects(obj).WithStatusSubresource(obj).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			writes++
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
	}).Build()
	r := flow.New(definition(&trace, nil), flow.Deps{Client: c, Recorder: &flowtest.Recorder{}, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})
	for range 3 {
		if _, err := flowtest.Reconcile(t, c, r, obj); err != nil {
			t.Fatal(err)
		}
	}
	if writes != 1 {
		t.Errorf("three runs with one result wrote the status %d times, want once", writes)
	}
}

// TestARunWaitsUntilItsOwnStatusIsRead has a run end as the one before last did, while reads still show the status of that one.
func TestARunWaitsUntilItsOwnStatusIsRead(t *testing.T) {
	var trace []string
	var shown *corev1.Namespace // by a cache that lags; nil when it is up to date
	obj := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Finalizers: []string{finalizer}}}
	c := fake.NewClientBuilder().WithObjects(obj).WithStatusSubresource(obj).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
			if err := c.Get(ctx, key, into, opts...); err != nil || shown == nil {
				return err
			}
			shown.DeepCopyInto(into.(*corev1.Namespace))
			return nil
		},
	}).Build()
	says := script{}
	r := flow.New(definition(&trace, says), flow.Deps{Client: c, Recorder: &flowtest.Recorder{}, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})
	run := func() ctrl.Result {
		t.Helper()
		got, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	run()
	before := &corev1.Namespace{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), before); err != nil {
		t.Fatal(err)
	}
	says["act"] = flow.Wait("Lost", 0, "for the source")
	run()
	delete(says, "act")
	shown = before
	if got := run(); got.RequeueAfter == 0 || got.RequeueAfter >= time.Hour {
		t.Errorf("a run that reads the past is repeated after %s, want soon", got.RequeueAfter)
	}
	shown = nil
	run()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	if got := string(obj.Status.Phase); got != ":done" {
		t.Errorf("status %s, want that of the last run", got)
	}
}

func TestTeardownHoldsTheFinalizerUntilDone(t *testing.T) {
	var trace []string
	says := script{"release": flow.Wait("InUse", 0, "a disk")}
	obj := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Finalizers: []string{finalizer}}}
	c := fake.NewClientBuilder().WithObjects(obj).WithStatusSubresource(obj).Build()
	if err := c.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	r := flow.New(definition(&trace, says), flow.Deps{Client: c, Recorder: &flowtest.Recorder{}, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})

	if _, err := flowtest.Reconcile(t, c, r, obj); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("release:wait", string(obj.Status.Phase)); diff != "" {
		t.Errorf("status while waiting (-want +got):\n%s", diff)
	}
	delete(says, "release")
	if _, err := flowtest.Reconcile(t, c, r, obj); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
		t.Errorf("get after teardown: %v, want not found", err)
	}
	if diff := cmp.Diff([]string{"release", "release"}, trace); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestAConflictRepeatsTheRunWithoutAnErrorOrEvents(t *testing.T) {
	var trace []string
	obj := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Finalizers: []string{finalizer}}}
	c := fake.NewClientBuilder().WithObjects(obj).WithStatusSubresource(obj).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return apierrors.NewConflict(schema.GroupResource{Resource: "namespaces"}, "a", errors.New("stale"))
		},
	}).Build()
	recorder := &flowtest.Recorder{}
	r := flow.New(definition(&trace, nil), flow.Deps{Client: c, Recorder: recorder, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))})
	got, err := flowtest.Reconcile(t, c, r, obj)
	if err != nil || got.RequeueAfter == 0 {
		t.Errorf("got %v, %v; want a quiet repeat", got, err)
	}
	if events := recorder.Drain(); len(events) != 0 {
		t.Errorf("events %v posted for a run that is repeated", events)
	}
}

func TestKstatus(t *testing.T) {
	type row struct{ Ready, Reconciling, Stalled metav1.ConditionStatus }
	for name, tc := range map[string]struct {
		outcome flow.Outcome
		want    row
	}{
		"done":  {flow.Done(), row{Ready: "True"}},
		"wait":  {flow.Wait("W", 0, "w"), row{Ready: "Unknown", Reconciling: "True"}},
		"fail":  {flow.Fail("F", errors.New("f")), row{Ready: "False", Reconciling: "True"}},
		"stall": {flow.Stall("S", "s"), row{Ready: "False", Stalled: "True"}},
	} {
		t.Run(name, func(t *testing.T) {
			list := []metav1.Condition{{Type: flow.StalledCondition, Status: "True"}, {Type: flow.ReconcilingCondition, Status: "True"}}
			flow.Conditions{List: &list, Generation: 7, Now: time.Unix(100, 0)}.Kstatus(flow.Result{Outcome: tc.outcome}, "Applied", "ok")
			var got row
			for _, c := range list {
				switch c.Type {
				case flow.ReadyCondition:
					got.Ready = c.Status
				case flow.ReconcilingCondition:
					got.Reconciling = c.Status
				case flow.StalledCondition:
					got.Stalled = c.Status
				}
				if c.ObservedGeneration != 7 {
					t.Errorf("%s observed generation %d, want 7", c.Type, c.ObservedGeneration)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKstatusKeepsTheTransitionTimeOfWhatStillHolds(t *testing.T) {
	var list []metav1.Condition
	for i := range 3 {
		now := time.Unix(int64(100+i), 0)
		flow.Conditions{List: &list, Generation: 1, Now: now}.Kstatus(flow.Result{Outcome: flow.Wait("W", 0, "w")}, "", "")
	}
	for _, c := range list {
		if want := time.Unix(100, 0); !c.LastTransitionTime.Time.Equal(want) {
			t.Errorf("%s changed at %s, want %s: a run that waits on writes nothing", c.Type, c.LastTransitionTime, want)
		}
	}
}

func TestTracing(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "web"}}).WithStatusSubresource(&corev1.Namespace{}).Build()
	spans := tracetest.NewSpanRecorder()
	var ran []string
	says := script{"decide": flow.Fail("Broken", errors.New("out of ink"))}
	r := flow.New(definition(&ran, says), flow.Deps{
		Client: c, Recorder: &flowtest.Recorder{}, Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0)),
		Tracing: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "web"}}); err == nil {
		t.Fatal("a step that fails ended well")
	}
	var got []string
	for _, span := range spans.Ended() {
		got = append(got, span.Name()+" "+span.Status().Description)
		if span.Name() != "namespace" && span.Parent().SpanID() != spans.Started()[0].SpanContext().SpanID() {
			t.Errorf("span %s does not belong to the run", span.Name())
		}
	}
	if diff := cmp.Diff([]string{"gather ", "decide out of ink", "namespace "}, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/sources/git"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const revision = "main@sha1:1111111111111111111111111111111111111111"

// environment with a Ready condition that has held for an hour.
func environment(name, reason string, status metav1.ConditionStatus) *v1alpha1.Environment {
	return &v1alpha1.Environment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, Generation: 1},
		Spec:       v1alpha1.EnvironmentSpec{SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "vms"}},
		Status: v1alpha1.EnvironmentStatus{
			ObservedGeneration: 1, LastAttemptedRevision: revision, LastAppliedRevision: revision,
			Health: &v1alpha1.HealthStatus{Healthy: 3, Total: 3},
			Conditions: []metav1.Condition{{
				Type: v1alpha1.ReadyCondition, Status: status, Reason: reason, Message: "it says so",
				LastTransitionTime: metav1.NewTime(now.Add(-time.Hour)),
			}},
		},
	}
}

func stalled(env *v1alpha1.Environment) *v1alpha1.Environment {
	env.Status.Conditions = append(env.Status.Conditions, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: "Any"})
	return env
}

func TestVerdict(t *testing.T) {
	change := func(env *v1alpha1.Environment, with func(*v1alpha1.Environment)) *v1alpha1.Environment {
		with(env)
		return env
	}
	notApplied := func(e *v1alpha1.Environment) { e.Status.LastAppliedRevision = "main@sha1:0" }
	tests := map[string]struct {
		env  *v1alpha1.Environment
		want string
	}{
		"healthy":                        {environment("a", v1alpha1.SucceededReason, metav1.ConditionTrue), Healthy},
		"degraded":                       {environment("a", v1alpha1.DegradedReason, metav1.ConditionFalse), Degraded},
		"awaiting a restart":             {environment("a", v1alpha1.AwaitingRestartReason, metav1.ConditionUnknown), AwaitingRestart},
		"waiting for people":             {environment("a", v1alpha1.ActionRequiredReason, metav1.ConditionUnknown), Suspended},
		"progressing":                    {environment("a", v1alpha1.ProgressingReason, metav1.ConditionUnknown), ""},
		"refused":                        {stalled(change(environment("a", v1alpha1.RenderFailedReason, metav1.ConditionFalse), notApplied)), Stalled},
		"refused for its own spec":       {stalled(environment("a", v1alpha1.NotSupportedReason, metav1.ConditionFalse)), ""},
		"cannot be applied":              {change(environment("a", v1alpha1.ApplyFailedReason, metav1.ConditionFalse), notApplied), Failed},
		"ready, but for an older commit": {change(environment("a", v1alpha1.SucceededReason, metav1.ConditionTrue), notApplied), ""},
		"spec not observed": {change(environment("a", v1alpha1.SucceededReason, metav1.ConditionTrue), func(e *v1alpha1.Environment) {
			e.Generation = 2
		}), ""},
		"suspended": {change(environment("a", v1alpha1.SucceededReason, metav1.ConditionTrue), func(e *v1alpha1.Environment) {
			e.Spec.Suspend = true
		}), ""},
		"nothing attempted": {change(environment("a", v1alpha1.SucceededReason, metav1.ConditionTrue), func(e *v1alpha1.Environment) {
			e.Status.LastAttemptedRevision = ""
		}), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, settled := verdictOf(test.env)
			if settled != (test.want != "") || settled && v.health != test.want {
				t.Errorf("verdict = %q, settled = %v, want %q", v.health, settled, test.want)
			}
		})
	}
}

// notesStub keeps notes by commit.
type notesStub struct {
	notes  map[string]string
	pushes int
	err    error
}

func (s *notesStub) Append(_ context.Context, _ git.Remote, _, commit string, text []byte) error {
	if s.err != nil {
		return s.err
	}
	s.pushes++
	s.notes[commit] = string(text)
	return nil
}

func (s *notesStub) Read(_ context.Context, _ git.Remote, _, commit string) ([]byte, error) {
	text, ok := s.notes[commit]
	if !ok {
		return nil, fmt.Errorf("note: %w", git.ErrNotFound)
	}
	return []byte(text), nil
}

type world struct {
	client client.Client
	notes  *notesStub
	clock  *clocktesting.FakePassiveClock
	events *flowtest.Recorder
	engine *flow.Reconciler[*v1alpha1.Environment, *scope]
}

func newWorld(t *testing.T, envs ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	repo := &v1alpha1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vms"}, Spec: v1alpha1.GitRepositorySpec{URL: "https://git.example/vms"}}
	w := &world{notes: &notesStub{notes: map[string]string{}}, clock: clocktesting.NewFakePassiveClock(now), events: &flowtest.Recorder{}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(envs, repo)...).WithStatusSubresource(&v1alpha1.Environment{}).Build()
	r := &reconciler{reader: w.client, secrets: w.client, notes: w.notes, clock: w.clock}
	w.engine = flow.New(r.definition(), flow.Deps{Client: w.client, Recorder: w.events, Clock: w.clock})
	return w
}

func TestReportIsWrittenOnce(t *testing.T) {
	env := environment("prod", v1alpha1.SucceededReason, metav1.ConditionTrue)
	w := newWorld(t, env)
	for range 3 {
		if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
			t.Fatal(err)
		}
		w.clock.SetTime(w.clock.Now().Add(time.Minute))
	}
	want := `- counts:
    degraded: 0
    healthy: 3
    progressing: 0
    suspended: 0
    total: 3
  environment: team/prod
  health: Healthy
  message: it says so
  reason: Succeeded
  revision: main@sha1:1111111111111111111111111111111111111111
  time: "2026-05-01T12:00:00Z"
`
	if diff := cmp.Diff(want, w.notes.notes[strings.TrimPrefix(revision, "main@sha1:")]); diff != "" {
		t.Errorf("note (-want +got):\n%s", diff)
	}
	if w.notes.pushes != 1 {
		t.Errorf("%d pushes, want one", w.notes.pushes)
	}
	if c := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReportedCondition); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("Reported = %+v", c)
	}
	if r := env.Status.Report; r == nil || r.Health != Healthy || r.Revision != revision {
		t.Errorf("report = %+v", r)
	}
}

func TestReportFollowsHealth(t *testing.T) {
	env := environment("prod", v1alpha1.DegradedReason, metav1.ConditionFalse)
	env.Status.Health = &v1alpha1.HealthStatus{Healthy: 2, Degraded: 1, Total: 3, Problems: []v1alpha1.HealthProblem{{
		ObjectReference: v1alpha1.ObjectReference{Kind: "VirtualDisk", Namespace: "team", Name: "root"}, State: "Degraded", Reason: "Failed", Message: "is Failed",
	}}}
	w := newWorld(t, env)
	if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
		t.Fatal(err)
	}
	note := w.notes.notes[strings.TrimPrefix(revision, "main@sha1:")]
	if !strings.Contains(note, "health: Degraded") || !strings.Contains(note, "object: VirtualDisk team/root") {
		t.Errorf("note = %s", note)
	}
	healthy := environment("prod", v1alpha1.SucceededReason, metav1.ConditionTrue)
	healthy.Status.Report = env.Status.Report
	env.Status = healthy.Status
	if err := w.client.Status().Update(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
		t.Fatal(err)
	}
	note = w.notes.notes[strings.TrimPrefix(revision, "main@sha1:")]
	if !strings.Contains(note, "health: Healthy") || strings.Contains(note, "Degraded") {
		t.Errorf("note = %s, want the new health in place of the old", note)
	}
}

func TestTwoEnvironmentsShareANote(t *testing.T) {
	one, two := environment("one", v1alpha1.SucceededReason, metav1.ConditionTrue), environment("two", v1alpha1.DegradedReason, metav1.ConditionFalse)
	w := newWorld(t, one, two)
	for _, env := range []*v1alpha1.Environment{one, two} {
		if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
			t.Fatal(err)
		}
	}
	note := w.notes.notes[strings.TrimPrefix(revision, "main@sha1:")]
	if !strings.Contains(note, "environment: team/one") || !strings.Contains(note, "environment: team/two") {
		t.Errorf("note = %s, want both", note)
	}
}

func TestReportWaitsUntilItIsQuiet(t *testing.T) {
	env := environment("prod", v1alpha1.SucceededReason, metav1.ConditionTrue)
	env.Status.Conditions[0].LastTransitionTime = metav1.NewTime(now)
	w := newWorld(t, env)
	result, err := flowtest.Reconcile(t, w.client, w.engine, env)
	if err != nil || result.RequeueAfter != quiet || w.notes.pushes != 0 {
		t.Errorf("result = %+v, %v after %d pushes, want a wait of %s", result, err, w.notes.pushes, quiet)
	}
}

func TestServerTakesNoNotes(t *testing.T) {
	env := environment("prod", v1alpha1.SucceededReason, metav1.ConditionTrue)
	w := newWorld(t, env)
	w.notes.err = fmt.Errorf("push: %w", git.ErrAuth)
	for range 2 {
		if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err == nil {
			t.Error("the failure is not retried")
		}
	}
	if c := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReportedCondition); c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReportFailedReason {
		t.Errorf("Reported = %+v", c)
	}
	if !meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) {
		t.Error("the Environment is no longer ready")
	}
	if events := w.events.Drain(); len(events) != 1 {
		t.Errorf("events = %q, want one", events)
	}
	w.notes.err = nil
	if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil || w.notes.pushes != 1 {
		t.Errorf("after the server takes notes: %v, %d pushes", err, w.notes.pushes)
	}
}

func TestFluxSourcesAreNotReportedOn(t *testing.T) {
	for version, want := range map[string]bool{"": false, v1alpha1.SchemeGroupVersion.String(): false, v1alpha1.FluxAPIVersion: true} {
		s := &scope{env: environment("a", v1alpha1.SucceededReason, metav1.ConditionTrue)}
		s.env.Spec.SourceRef.APIVersion = version
		if outcome := accept(t.Context(), s); outcome.IsWaiting() != want || s.nothing != want {
			t.Errorf("%q: %s, nothing to report: %t", version, outcome, s.nothing)
		}
	}
}

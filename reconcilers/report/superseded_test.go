package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/sources/git"
)

func commit(digit string) string { return strings.Repeat(digit, 40) }

func at(digit string) string { return "main@sha1:" + commit(digit) }

func TestOvertaken(t *testing.T) {
	entry := func(digit, reported string) v1alpha1.HistoryEntry {
		return v1alpha1.HistoryEntry{Revision: at(digit), Reported: reported, Outcome: v1alpha1.ProgressingReason}
	}
	type pair struct{ Revision, By string }
	tests := map[string]struct {
		history []v1alpha1.HistoryEntry
		want    []pair
	}{
		"nothing attempted":             {},
		"the current one alone":         {history: []v1alpha1.HistoryEntry{entry("1", "")}},
		"all settled":                   {history: []v1alpha1.HistoryEntry{entry("2", Healthy), entry("1", Healthy)}},
		"overtaken":                     {history: []v1alpha1.HistoryEntry{entry("2", ""), entry("1", "")}, want: []pair{{at("1"), at("2")}}},
		"told already":                  {history: []v1alpha1.HistoryEntry{entry("2", ""), entry("1", Superseded)}},
		"several, the oldest first":     {history: []v1alpha1.HistoryEntry{entry("3", Healthy), entry("2", ""), entry("1", "")}, want: []pair{{at("1"), at("2")}, {at("2"), at("3")}}},
		"back by a forced push":         {history: []v1alpha1.HistoryEntry{entry("1", ""), entry("2", Healthy), entry("1", "")}},
		"between two of the same":       {history: []v1alpha1.HistoryEntry{entry("1", ""), entry("2", ""), entry("1", "")}, want: []pair{{at("2"), at("1")}}},
		"what a bundle was, has no git": {history: []v1alpha1.HistoryEntry{entry("2", ""), {Revision: "latest@sha256:" + commit("1")}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []pair
			for _, v := range overtaken(v1alpha1.GitRepositoryKind, test.history) {
				got = append(got, pair{v.revision, v.by})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("overtaken (-want +got):\n%s", diff)
			}
		})
	}
}

// overtakenEnvironment progresses with a revision that came before the last one had settled.
func overtakenEnvironment() *v1alpha1.Environment {
	env := environment("prod", v1alpha1.ProgressingReason, metav1.ConditionUnknown)
	env.Status.History = []v1alpha1.HistoryEntry{
		{Revision: revision, Outcome: v1alpha1.ProgressingReason},
		{Revision: at("2"), Outcome: v1alpha1.ProgressingReason},
	}
	return env
}

func TestOvertakenCommitIsNoted(t *testing.T) {
	env := overtakenEnvironment()
	w := newWorld(t, env)
	for range 2 {
		if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
			t.Fatal(err)
		}
	}
	want := `- environment: team/prod
  health: Superseded
  message: main@sha1:1111111111111111111111111111111111111111 came before this commit
    had settled; it was not applied in full
  reason: Progressing
  revision: main@sha1:2222222222222222222222222222222222222222
  supersededBy: main@sha1:1111111111111111111111111111111111111111
  time: "2026-05-01T12:00:00Z"
`
	if diff := cmp.Diff(map[string]string{commit("2"): want}, w.notes.notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if w.notes.pushes != 1 {
		t.Errorf("%d pushes, want one", w.notes.pushes)
	}
	if diff := cmp.Diff([]string{"", Superseded}, reported(env)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

func reported(env *v1alpha1.Environment) []string {
	var all []string
	for _, entry := range env.Status.History {
		all = append(all, entry.Reported)
	}
	return all
}

// TestKilledBetweenNoteAndRecord: the note was written and the status was not. The next run records what the note says,
// whatever it is, and does not write it again.
func TestKilledBetweenNoteAndRecord(t *testing.T) {
	for _, health := range []string{Superseded, Healthy} {
		t.Run(health, func(t *testing.T) {
			env := overtakenEnvironment()
			w := newWorld(t, env)
			note := fmt.Sprintf("- environment: team/prod\n  health: %s\n", health)
			w.notes.notes[commit("2")] = note
			if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
				t.Fatal(err)
			}
			if w.notes.pushes != 0 || w.notes.notes[commit("2")] != note {
				t.Errorf("%d pushes; note %s", w.notes.pushes, w.notes.notes[commit("2")])
			}
			if diff := cmp.Diff([]string{"", health}, reported(env)); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOvertakenWhileNotesAreRefused: what could not be written is written when the server takes notes again.
func TestOvertakenWhileNotesAreRefused(t *testing.T) {
	env := overtakenEnvironment()
	w := newWorld(t, env)
	w.notes.err = fmt.Errorf("push: %w", git.ErrAuth)
	for range 2 {
		if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err == nil {
			t.Error("the failure is not retried")
		}
	}
	if events := w.events.Drain(); len(events) != 1 {
		t.Errorf("events = %q, want one", events)
	}
	w.notes.err = nil
	if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
		t.Fatal(err)
	}
	if note := w.notes.notes[commit("2")]; !strings.Contains(note, "health: Superseded") {
		t.Errorf("note = %q", note)
	}
}

// TestSettledCommitKeepsItsNote: the history remembers what was told, so that a commit that had settled is not overtaken.
func TestSettledCommitKeepsItsNote(t *testing.T) {
	env := environment("prod", v1alpha1.SucceededReason, metav1.ConditionTrue)
	env.Status.History = []v1alpha1.HistoryEntry{{Revision: revision, Outcome: v1alpha1.SucceededReason}}
	w := newWorld(t, env)
	if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
		t.Fatal(err)
	}
	env.Status.History = append([]v1alpha1.HistoryEntry{{Revision: at("3"), FirstAttempted: metav1.NewTime(now)}}, env.Status.History...)
	env.Status.LastAttemptedRevision = at("3")
	if err := w.client.Status().Update(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if _, err := flowtest.Reconcile(t, w.client, w.engine, env); err != nil {
		t.Fatal(err)
	}
	if note := w.notes.notes[commit("1")]; !strings.Contains(note, "health: Healthy") || w.notes.pushes != 1 {
		t.Errorf("%d pushes; note %s", w.notes.pushes, note)
	}
	if diff := cmp.Diff([]string{"", Healthy}, reported(env)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// TestNewsworthy: an answered request wakes nobody; all that a report is made from does.
func TestNewsworthy(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha1.Environment)
		want   bool
	}{
		"an answered request": {func(e *v1alpha1.Environment) { e.Status.LastHandledReconcileAt, e.ResourceVersion = "now", "7" }, false},
		"a new plan":          {func(e *v1alpha1.Environment) { e.Status.Plan = &v1alpha1.PlanStatus{Revision: revision} }, false},
		"a condition":         {func(e *v1alpha1.Environment) { e.Status.Conditions[0].Message = "else" }, true},
		"health":              {func(e *v1alpha1.Environment) { e.Status.Health.Degraded = 1 }, true},
		"a revision":          {func(e *v1alpha1.Environment) { e.Status.LastAttemptedRevision = at("9") }, true},
		"history":             {func(e *v1alpha1.Environment) { e.Status.History = append(e.Status.History, v1alpha1.HistoryEntry{}) }, true},
		"the spec":            {func(e *v1alpha1.Environment) { e.Generation++ }, true},
		"what was told":       {func(e *v1alpha1.Environment) { e.Status.Report = nil }, true},
		"another one":         {func(e *v1alpha1.Environment) { e.UID = "new" }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := overtakenEnvironment()
			before.Status.Report = &v1alpha1.ReportStatus{}
			after := before.DeepCopy()
			test.change(after)
			if got := newsworthy().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.want {
				t.Errorf("newsworthy = %t, want %t: %s", got, test.want, cmp.Diff(before, after))
			}
		})
	}
}

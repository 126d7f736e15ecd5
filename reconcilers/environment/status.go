package environment

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Limits of what a status holds.
const (
	changeLimit  = 50
	fieldLimit   = 10
	historyLimit = 5
	// unreportedLimit is how many entries there are when the commits of some have no
	// note yet.
	unreportedLimit = 20
)

// report writes the status from what the run observed and did.
func report(s *scope, result flow.Result) {
	if s.env.DeletionTimestamp != nil {
		reportDeletion(s, result)
		return
	}
	status := &s.env.Status
	status.ObservedGeneration = s.env.Generation
	status.LastHandledReconcileAt = s.env.Annotations[v1alpha1.RequestedAtAnnotation]
	if s.tree.Revision != "" {
		status.LastAttemptedRevision = s.tree.Revision
	}
	if s.applied {
		status.LastAppliedRevision = s.tree.Revision
	}
	if s.taken != nil || status.SourceArtifact != nil && status.SourceArtifact.SourceRef != s.env.Spec.SourceRef {
		status.SourceArtifact = s.taken
	}
	if s.plan != nil && s.plan.HasChanges() {
		status.Plan = planStatus(*s.plan, s.tree.Revision)
	}
	status.Inventory = sorted(s.inventory)
	status.Tombstones = sorted(s.tombstones)
	if s.health != nil {
		status.Health = healthStatus(s.health, s.judged)
	}
	reportConditions(s, result)
	reportHistory(s)
}

// reportDeletion says what keeps a deleted Environment from going.
func reportDeletion(s *scope, result flow.Result) {
	if result.Outcome.IsDone() {
		return
	}
	status := &s.env.Status
	status.Inventory, status.Tombstones = sorted(s.inventory), sorted(s.tombstones)
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.env.Generation, Now: s.now}
	conditions.Kstatus(result, "", "")
}

func reportConditions(s *scope, result flow.Result) {
	before := slices.Clone(s.env.Status.Conditions)
	defer func() { keepTransitions(before, s.env.Status.Conditions) }()
	conditions := flow.Conditions{List: &s.env.Status.Conditions, Generation: s.env.Generation, Now: s.now}
	conditions.Kstatus(result, v1alpha1.SucceededReason, readyMessage(s))
	o := result.Outcome
	switch {
	case s.suspended:
		conditions.Remove(v1alpha1.ReconcilingCondition)
		return
	case s.retrying || o.Reason() == v1alpha1.DegradedReason:
		conditions.False(v1alpha1.ReadyCondition, o.Reason(), o.Message())
	}
	reportPlanned(conditions, s, o)
	reportApplied(conditions, s, o)
	reportHealthy(conditions, s)
}

// keepTransitions gives conditions that say what they said before their old
// transition time back, however they were written.
func keepTransitions(before, after []metav1.Condition) {
	for i := range after {
		old := meta.FindStatusCondition(before, after[i].Type)
		if old != nil && old.Status == after[i].Status {
			after[i].LastTransitionTime = old.LastTransitionTime
		}
	}
}

func readyMessage(s *scope) string {
	message := "applied " + s.tree.Revision
	if s.env.Status.Health != nil {
		message += ", " + healthMessage(s.env.Status.Health)
	}
	return message
}

// reportPlanned keeps the last plan with a change in view.
func reportPlanned(conditions flow.Conditions, s *scope, o flow.Outcome) {
	last := meta.FindStatusCondition(s.env.Status.Conditions, v1alpha1.PlannedCondition)
	switch {
	case s.plan == nil && o.IsWaiting():
	case s.plan == nil || len(s.plan.Problems) > 0:
		conditions.False(v1alpha1.PlannedCondition, o.Reason(), o.Message())
	case s.plan.HasChanges() || last == nil || last.Status != metav1.ConditionTrue:
		conditions.True(v1alpha1.PlannedCondition, v1alpha1.PlannedReason, s.tree.Revision+": "+plan.Headline(*s.plan))
	default:
		conditions.True(v1alpha1.PlannedCondition, last.Reason, last.Message)
	}
}

func reportApplied(conditions flow.Conditions, s *scope, o flow.Outcome) {
	switch {
	case s.applied:
		conditions.True(v1alpha1.AppliedCondition, v1alpha1.AppliedReason, "applied "+s.tree.Revision)
	case o.IsStalled() || o.IsFailed() || s.retrying:
		conditions.False(v1alpha1.AppliedCondition, o.Reason(), o.Message())
	case s.tree.Revision != "":
		conditions.Unknown(v1alpha1.AppliedCondition, o.Reason(), o.Message())
	}
}

func reportHealthy(conditions flow.Conditions, s *scope) {
	status := s.env.Status.Health
	if s.health == nil || status == nil {
		return
	}
	message := healthMessage(status)
	switch {
	case status.Degraded > 0:
		conditions.False(v1alpha1.HealthyCondition, v1alpha1.DegradedReason, message)
	case status.Healthy < status.Total:
		conditions.Unknown(v1alpha1.HealthyCondition, status.Problems[0].State, message)
	default:
		conditions.True(v1alpha1.HealthyCondition, v1alpha1.SucceededReason, message)
	}
}

func planStatus(p plan.Plan, revision string) *v1alpha1.PlanStatus {
	status := &v1alpha1.PlanStatus{Revision: revision, Digest: p.Digest, Summary: p.Summary}
	for _, c := range p.Changes {
		switch {
		case c.Verdict == plan.None:
		case len(status.Changes) == changeLimit:
			status.Omitted++
		default:
			status.Changes = append(status.Changes, planChange(c))
		}
	}
	return status
}

func planChange(c plan.Change) v1alpha1.PlanChange {
	change := v1alpha1.PlanChange{ObjectReference: c.Ref, UID: c.UID, Verdict: string(c.Verdict), Message: c.Message}
	for _, f := range c.Fields[:min(len(c.Fields), fieldLimit)] {
		change.Fields = append(change.Fields, f.Path)
	}
	return change
}

// reportHistory keeps one entry per revision, the newest first.
func reportHistory(s *scope) {
	status := &s.env.Status
	if s.tree.Revision == "" {
		return
	}
	if len(status.History) == 0 || status.History[0].Revision != s.tree.Revision {
		entry := v1alpha1.HistoryEntry{Revision: s.tree.Revision, FirstAttempted: metav1.NewTime(s.now)}
		status.History = append([]v1alpha1.HistoryEntry{entry}, status.History...)
		status.History = trimHistory(status.History)
	}
	entry := &status.History[0]
	if s.applied && entry.Applied == nil {
		now := metav1.NewTime(s.now)
		entry.Applied = &now
	}
	if entry.PlanDigest == "" && s.plan != nil && s.plan.HasChanges() {
		entry.PlanDigest = s.plan.Digest
	}
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		entry.Outcome = ready.Reason
	}
}

// trimHistory drops what is old, but not what is still to be told to a commit.
func trimHistory(history []v1alpha1.HistoryEntry) []v1alpha1.HistoryEntry {
	kept := history[:min(len(history), historyLimit)]
	for _, entry := range history[len(kept):] {
		if entry.Reported == "" {
			kept = append(kept, entry)
		}
	}
	return kept[:min(len(kept), unreportedLimit)]
}

// sorted lists the records of a map in an order that does not change by itself.
func sorted[T any](records map[plan.Key]T) []T {
	if len(records) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(records), plan.Compare)
	list := make([]T, 0, len(keys))
	for _, key := range keys {
		list = append(list, records[key])
	}
	return list
}

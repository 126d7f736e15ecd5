package flow

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The kstatus conditions that every GitOps kind carries.
const (
	ReadyCondition       = "Ready"
	ReconcilingCondition = "Reconciling"
	StalledCondition     = "Stalled"
)

// Conditions edits a condition list for one generation at one moment. Use it in
// a kind's Report with the time that the scope observed.
type Conditions struct {
	List       *[]metav1.Condition
	Generation int64
	Now        time.Time
}

// Set writes one condition. The transition time moves only with the status.
func (c Conditions) Set(conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(c.List, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: c.Generation,
		LastTransitionTime: metav1.NewTime(c.Now),
	})
}

// True writes a condition that holds.
func (c Conditions) True(conditionType, reason, message string) {
	c.Set(conditionType, metav1.ConditionTrue, reason, message)
}

// False writes a condition that does not hold.
func (c Conditions) False(conditionType, reason, message string) {
	c.Set(conditionType, metav1.ConditionFalse, reason, message)
}

// Unknown writes a condition that could not be observed.
func (c Conditions) Unknown(conditionType, reason, message string) {
	c.Set(conditionType, metav1.ConditionUnknown, reason, message)
}

// Remove deletes a condition that exists only while something is abnormal.
func (c Conditions) Remove(conditionType string) {
	meta.RemoveStatusCondition(c.List, conditionType)
}

// Kstatus writes Ready, Reconciling and Stalled from how a run ended. The
// reason and message are those of Ready when everything was done. A condition
// that still holds stays in the list, so that it keeps its transition time.
func (c Conditions) Kstatus(result Result, reason, message string) {
	o := result.Outcome
	if !o.IsStalled() {
		c.Remove(StalledCondition)
	}
	if o.IsDone() || o.IsStalled() {
		c.Remove(ReconcilingCondition)
	}
	switch {
	case o.IsDone():
		c.True(ReadyCondition, reason, message)
	case o.IsStalled():
		c.False(ReadyCondition, o.Reason(), o.Message())
		c.True(StalledCondition, o.Reason(), o.Message())
	case o.IsFailed():
		c.False(ReadyCondition, o.Reason(), o.Message())
		c.True(ReconcilingCondition, "Retrying", "retrying with backoff after "+o.Reason())
	default:
		c.Unknown(ReadyCondition, o.Reason(), o.Message())
		c.True(ReconcilingCondition, o.Reason(), o.Message())
	}
}

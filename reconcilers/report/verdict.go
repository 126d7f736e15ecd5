package report

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// What a report says a commit reached.
const (
	// Healthy: everything is applied and healthy.
	Healthy = "Healthy"
	// AwaitingRestart: everything works; changes take effect at a restart.
	AwaitingRestart = "AwaitingRestart"
	// Suspended: everything is applied; something waits for people.
	Suspended = "Suspended"
	// Degraded: everything is applied and something needs a look.
	Degraded = "Degraded"
	// Failed: the revision cannot be applied; it is being retried.
	Failed = "Failed"
	// Stalled: the revision is refused.
	Stalled = "Stalled"
	// Superseded: a later revision came before the commit had settled.
	Superseded = "Superseded"
)

// How long a state has to last before it is reported.
const (
	quiet       = 2 * time.Second
	quietFailed = 15 * time.Second
)

// verdict is what there is to say about a revision.
type verdict struct {
	revision string
	health   string
	reason   string
	message  string
	// by is the revision that overtook this one.
	by string
	// since is when the state began.
	since time.Time
	// quiet is how long it has to last before it is reported.
	quiet time.Duration
}

// notOfTheCommit are reasons to stall that say nothing about a commit.
var notOfTheCommit = map[string]bool{
	v1alpha1.NotSupportedReason:           true,
	v1alpha1.InvalidCELExpressionReason:   true,
	v1alpha1.ServiceAccountRequiredReason: true,
}

// healthOf are the reasons of an Environment that works and is not ready.
var healthOf = map[string]string{
	v1alpha1.DegradedReason:        Degraded,
	v1alpha1.AwaitingRestartReason: AwaitingRestart,
	v1alpha1.ActionRequiredReason:  Suspended,
}

// verdictOf says what there is to report about an Environment, if it has settled.
func verdictOf(env *v1alpha1.Environment) (verdict, bool) {
	status := env.Status
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ReadyCondition)
	if ready == nil || env.Spec.Suspend || status.LastAttemptedRevision == "" || status.ObservedGeneration != env.Generation {
		return verdict{}, false
	}
	v := verdict{
		revision: status.LastAttemptedRevision, reason: ready.Reason, message: ready.Message,
		since: ready.LastTransitionTime.Time, quiet: quiet,
	}
	applied := status.LastAppliedRevision == status.LastAttemptedRevision
	switch {
	case meta.IsStatusConditionTrue(status.Conditions, v1alpha1.StalledCondition):
		v.health = Stalled
		return v, !notOfTheCommit[ready.Reason]
	case applied && ready.Status == metav1.ConditionTrue:
		v.health = Healthy
	case applied && healthOf[ready.Reason] != "":
		v.health = healthOf[ready.Reason]
	case ready.Status == metav1.ConditionFalse:
		v.health, v.quiet = Failed, quietFailed
	default:
		return verdict{}, false
	}
	return v, true
}

package environment

import (
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/environment/health"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// judge finds out how the revision does. It waits for nothing: informers wake the
// next run, and the moment at which something is late is the only timer.
func (r *reconciler) judge(ctx context.Context, s *scope) flow.Outcome {
	refs := make([]v1alpha1.ObjectReference, 0, len(s.desired.objects))
	for _, u := range s.desired.objects {
		refs = append(refs, plan.ReferenceOf(u))
	}
	further, err := r.further(ctx, s)
	s.judge(append(refs, further...), s.live)
	if err != nil {
		return stop(v1alpha1.HealthCheckFailedReason, err)
	}
	return verdict(s)
}

// survey judges what the inventory has when a run stops before it could judge
// the revision: what runs goes on, and people want to know how it does.
func (r *reconciler) survey(ctx context.Context, s *scope) {
	if s.health != nil || s.client == nil || len(s.env.Status.Inventory) == 0 {
		return
	}
	refs := make([]v1alpha1.ObjectReference, 0, len(s.env.Status.Inventory))
	for _, e := range s.env.Status.Inventory {
		refs = append(refs, e.ObjectReference)
	}
	objects, err := r.read(ctx, s, refs)
	if err != nil {
		return // the step that stopped the run says what is wrong
	}
	live := make(map[plan.Key]*unstructured.Unstructured, len(objects))
	for _, u := range objects {
		live[plan.KeyOf(u)] = u
	}
	s.judge(refs, live)
}

func (s *scope) judge(refs []v1alpha1.ObjectReference, live map[plan.Key]*unstructured.Unstructured) {
	objects := make([]*unstructured.Unstructured, 0, len(refs))
	for _, ref := range refs {
		if u := live[plan.KeyOfReference(ref)]; u != nil {
			objects = append(objects, u)
		}
	}
	s.judged, s.health = refs, health.Judge(objects, s.expressions.health, s.now)
	for _, ref := range refs {
		if key := plan.KeyOfReference(ref); live[key] == nil {
			s.health[key] = health.Health{State: health.Progressing, Reason: health.ReasonMissing, Message: "is not there yet"}
		}
	}
}

// verdict lets the run go on to prune when everything works.
func verdict(s *scope) flow.Outcome {
	status := healthStatus(s.health, s.judged)
	for _, h := range s.health {
		if !h.Works() {
			reason := v1alpha1.ProgressingReason
			if status.Degraded > 0 {
				reason = v1alpha1.DegradedReason
			}
			return flow.Wait(reason, wakeAfter(s), "%s", healthMessage(status))
		}
	}
	return flow.Done()
}

// wakeAfter is how long a run is not needed unless something happens.
func wakeAfter(s *scope) time.Duration {
	after := s.env.Spec.Interval.Duration
	if after <= 0 {
		after = defaultInterval
	}
	for _, h := range s.health {
		if h.Deadline.IsZero() {
			continue
		}
		after = min(after, max(h.Deadline.Sub(s.now), time.Second))
	}
	return after
}

// severity orders problems, the worst first.
var severity = map[health.State]int{health.Degraded: 0, health.Progressing: 1, health.Suspended: 2}

// problemLimit is how many problems a status lists.
const problemLimit = 10

// healthStatus counts states and lists the first problems.
func healthStatus(verdicts map[plan.Key]health.Health, refs []v1alpha1.ObjectReference) *v1alpha1.HealthStatus {
	status := &v1alpha1.HealthStatus{Total: int32(len(refs))}
	counters := map[health.State]*int32{
		health.Healthy: &status.Healthy, health.Progressing: &status.Progressing,
		health.Degraded: &status.Degraded, health.Suspended: &status.Suspended,
	}
	for _, ref := range refs {
		h := verdicts[plan.KeyOfReference(ref)]
		*counters[h.State]++
		if h.State != health.Healthy {
			status.Problems = append(status.Problems, v1alpha1.HealthProblem{
				ObjectReference: ref, State: string(h.State), Reason: h.Reason, Message: h.Message,
			})
		}
	}
	slices.SortStableFunc(status.Problems, func(a, b v1alpha1.HealthProblem) int {
		return severity[health.State(a.State)] - severity[health.State(b.State)]
	})
	if len(status.Problems) > problemLimit {
		status.Problems = status.Problems[:problemLimit]
	}
	return status
}

// healthMessage is the health of an environment in one sentence.
func healthMessage(status *v1alpha1.HealthStatus) string {
	if len(status.Problems) == 0 {
		return plural(status.Total)
	}
	names := make([]string, 0, len(status.Problems))
	for _, p := range status.Problems[:min(3, len(status.Problems))] {
		names = append(names, plan.KeyOfReference(p.ObjectReference).String()+" "+p.Message)
	}
	return countText(status) + ": " + strings.Join(names, "; ")
}

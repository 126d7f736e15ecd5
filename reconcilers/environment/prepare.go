package environment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// gather reads all objects that matter, and makes sure that they are watched.
func (r *reconciler) gather(ctx context.Context, s *scope) flow.Outcome {
	refs := references(s.env, s.desired)
	live, err := r.read(ctx, s, refs)
	if err != nil {
		return stop(v1alpha1.ApplyFailedReason, err)
	}
	s.see(live)
	return flow.Done()
}

// plan compares. Nothing is compared when nothing changed since the last run
// that found nothing to do.
func (r *reconciler) plan(ctx context.Context, s *scope) flow.Outcome {
	key := s.settledKey()
	if key != "" && key == s.findings.settledKey {
		p := s.findings.settled
		p.Revision = s.tree.Revision
		s.plan = &p
		s.dropVanished() // again, in case that the run which found it out could not write it
		return flow.Done()
	}
	s.findings.settledKey = ""
	p := r.planner.compute(s.env, s.tree.Revision, s.desired, s.liveList())
	s.plan = &p
	if len(p.Problems) > 0 {
		return stop(v1alpha1.ChangeRefusedReason, refusalOf(p.Problems, s.desired.origins))
	}
	s.dropVanished()
	if !p.HasChanges() {
		s.findings.settledKey, s.findings.settled = key, p
		return flow.Done()
	}
	s.announce(ctx, p)
	return flow.Done()
}

// settledKey names everything that a plan depends on.
func (s *scope) settledKey() string {
	sum := sha256.New()
	fmt.Fprintln(sum, s.findings.renderKey)
	for _, ref := range references(s.env, s.desired) {
		if u := s.live[plan.KeyOfReference(ref)]; u != nil {
			fmt.Fprintln(sum, u.GetUID(), u.GetResourceVersion())
		} else {
			fmt.Fprintln(sum, "-")
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// announce posts the plan once.
func (s *scope) announce(ctx context.Context, p plan.Plan) {
	if last := s.env.Status.Plan; last != nil && last.Digest == p.Digest && last.Revision == p.Revision {
		return
	}
	reason := v1alpha1.PlannedReason
	if s.isDrift(p) {
		reason = v1alpha1.DriftCorrectedReason
	}
	flow.Emit(ctx, reason, "%s: %s", s.tree.Revision, plan.Headline(p))
	for _, c := range p.Changes {
		if c.RenamedFrom != "" {
			flow.Warn(ctx, v1alpha1.RenamedReason, "%s %s", c.Key(), c.Message)
		}
	}
}

// isDrift tells whether only the cluster changed, not the source.
func (s *scope) isDrift(p plan.Plan) bool {
	if s.env.Status.LastAppliedRevision != s.tree.Revision {
		return false
	}
	for _, c := range p.Changes {
		if c.Verdict != plan.None && c.Reason != plan.ReasonDrift {
			return false
		}
	}
	return true
}

// brake stops a plan that would do harm.
func (r *reconciler) brake(_ context.Context, s *scope) flow.Outcome {
	if refusal := brake(*s.plan, len(s.desired.objects), s.env); refusal != nil {
		return flow.Stall(refusal.Reason, "%s", clip(refusal.Error()))
	}
	return flow.Done()
}

// record writes down what is about to be made, so that no crash can leave an
// object behind that no inventory knows.
func (r *reconciler) record(_ context.Context, s *scope) flow.Outcome {
	fresh := 0
	for _, c := range s.plan.With(plan.Create, plan.Live, plan.Restart, plan.Replace) {
		if _, known := s.inventory[c.Key()]; !known {
			s.own(c.Ref, "")
			fresh++
		}
	}
	if fresh > 0 {
		return flow.Wait(v1alpha1.ProgressingReason, recordDelay, "applying %s: %s", s.tree.Revision, plan.Headline(*s.plan))
	}
	return flow.Done()
}

func groupVersionKinds(refs []v1alpha1.ObjectReference) []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	seen := map[schema.GroupVersionKind]bool{}
	for _, ref := range refs {
		if gvk := gvkOf(ref); !seen[gvk] {
			seen[gvk] = true
			kinds = append(kinds, gvk)
		}
	}
	return kinds
}

func keyOf(env *v1alpha1.Environment) client.ObjectKey { return client.ObjectKeyFromObject(env) }

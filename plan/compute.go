package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// Compute makes the plan of an input.
func Compute(in Input) Plan {
	c := newComputation(in)
	ordered, err := Order(in.Desired)
	if err != nil {
		c.problem(err.First(), v1alpha1.DependencyCycleReason, err.Error())
		ordered = in.Desired
	}
	for _, desired := range ordered {
		c.want(desired)
	}
	for _, gone := range c.leaving() {
		c.leave(gone)
	}
	c.plan.Changes = append(c.plan.Changes, pruneOrder(c.pruned, c.live)...)
	markRenames(c.plan.Changes, in.Desired, c.live)
	c.plan.Summary = summarize(c.plan.Changes)
	c.plan.Digest = digest(c.plan)
	return c.plan
}

type computation struct {
	in      Input
	live    map[Key]*unstructured.Unstructured
	desired map[Key]bool
	owned   map[Key]types.UID
	pruned  []Change
	plan    Plan
}

func newComputation(in Input) *computation {
	c := &computation{
		in:      in,
		live:    make(map[Key]*unstructured.Unstructured, len(in.Live)),
		desired: make(map[Key]bool, len(in.Desired)),
		owned:   make(map[Key]types.UID, len(in.Inventory)),
		plan:    Plan{Revision: in.Revision, Changes: []Change{}},
	}
	for _, u := range in.Live {
		c.live[KeyOf(u)] = u
	}
	for _, u := range in.Desired {
		c.desired[KeyOf(u)] = true
	}
	for _, e := range in.Inventory {
		c.owned[KeyOfReference(e.ObjectReference)] = e.UID
	}
	return c
}

func (c *computation) problem(ref v1alpha1.ObjectReference, reason, message string) {
	c.plan.Problems = append(c.plan.Problems, Problem{Ref: ref, Reason: reason, Message: message})
}

func (c *computation) add(change Change) {
	c.plan.Changes = append(c.plan.Changes, change)
}

// want plans one object that the revision has.
func (c *computation) want(desired *unstructured.Unstructured) {
	live := c.live[KeyOf(desired)]
	change := Change{Ref: ReferenceOf(desired), Verdict: Create}
	switch {
	case live == nil:
		c.add(change)
	case live.GetDeletionTimestamp() != nil:
		change.Reason = ReasonTerminating
		change.Message = "made again as soon as the one being deleted is gone"
		c.add(change)
	case c.foreign(live):
		c.problem(change.Ref, v1alpha1.OwnedByAnotherReason, foreignMessage(live))
	default:
		change.UID = live.GetUID()
		c.compare(change, desired, live)
	}
}

// compare plans one object that the revision and the cluster have.
func (c *computation) compare(change Change, desired, live *unstructured.Unstructured) {
	fields := append(Diff(desired, live), released(live)...)
	if len(fields) == 0 {
		change.Verdict = None
		c.add(change)
		return
	}
	change.Verdict, change.Fields, change.Reason = Live, fields, c.why(desired, live)
	if broken := immutable(live, fields); broken != nil {
		c.replace(change, live, *broken)
		return
	}
	if decide := c.in.Deciders[change.Key().GroupKind()]; decide != nil {
		verdict, err := decide(live, Predict(desired, live))
		if err != nil {
			c.problem(change.Ref, v1alpha1.ChangeRefusedReason, fmt.Sprintf("%s: %s", change.Key(), err))
			return
		}
		change.Verdict = verdict
	}
	c.add(change)
}

func (c *computation) replace(change Change, live *unstructured.Unstructured, broken violation) {
	if broken.refuse {
		c.problem(change.Ref, v1alpha1.ChangeRefusedReason, fmt.Sprintf("%s: %s", change.Key(), broken.message))
		return
	}
	approved := c.approved(live)
	confirm := c.in.Policy.Policy == v1alpha1.PruneConfirm
	change.Verdict, change.Reason, change.Message = Replace, ReasonImmutable, broken.message
	change.NeedsApproval = (HoldsData(live) || confirm) && !approved
	c.add(change)
}

func (c *computation) why(desired, live *unstructured.Unstructured) string {
	if c.owned[KeyOf(desired)] != live.GetUID() {
		return ReasonAdopt
	}
	if stamp := live.GetAnnotations()[StampAnnotation]; stamp != "" && stamp == desired.GetAnnotations()[StampAnnotation] {
		return ReasonDrift
	}
	return ""
}

func (c *computation) approved(live *unstructured.Unstructured) bool {
	for _, uid := range c.in.Policy.Approved {
		if uid == live.GetUID() {
			return true
		}
	}
	return false
}

// foreign tells whether another Environment owns the object and did not release it.
func (c *computation) foreign(live *unstructured.Unstructured) bool {
	labels := live.GetLabels()
	name := labels[v1alpha1.EnvironmentLabel]
	if name == "" || labels[v1alpha1.ReleasedLabel] != "" {
		return false
	}
	return name != c.in.Owner.Name || labels[v1alpha1.EnvironmentNamespaceLabel] != c.in.Owner.Namespace
}

// released is the change that takes the mark off an object that was kept.
func released(live *unstructured.Unstructured) []FieldChange {
	mark, ok := live.GetLabels()[v1alpha1.ReleasedLabel]
	if !ok {
		return nil
	}
	return []FieldChange{{Path: "metadata.labels." + v1alpha1.ReleasedLabel, From: mark}}
}

func foreignMessage(live *unstructured.Unstructured) string {
	labels := live.GetLabels()
	return fmt.Sprintf("%s belongs to the Environment %s/%s; remove it from one of the two sources",
		KeyOf(live), labels[v1alpha1.EnvironmentNamespaceLabel], labels[v1alpha1.EnvironmentLabel])
}

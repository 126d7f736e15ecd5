package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// leaving lists the live objects that the owner has or kept and the revision
// does not have. What somebody else deleted or took over is not among them.
func (c *computation) leaving() []*unstructured.Unstructured {
	var gone []*unstructured.Unstructured
	for _, e := range c.in.Inventory {
		live := c.live[KeyOfReference(e.ObjectReference)]
		if live != nil && !c.desired[KeyOf(live)] && c.ours(live) {
			gone = append(gone, live)
		}
	}
	for _, t := range c.in.Tombstones {
		live := c.live[KeyOfReference(t.ObjectReference)]
		if live != nil && live.GetUID() == t.UID && !c.desired[KeyOf(live)] && c.ours(live) && c.approved(live) {
			gone = append(gone, live)
		}
	}
	return gone
}

func (c *computation) ours(live *unstructured.Unstructured) bool {
	labels := live.GetLabels()
	return labels[v1alpha1.EnvironmentLabel] == c.in.Owner.Name &&
		labels[v1alpha1.EnvironmentNamespaceLabel] == c.in.Owner.Namespace
}

// leave plans one object that left the source.
func (c *computation) leave(live *unstructured.Unstructured) {
	change := Change{Ref: ReferenceOf(live), UID: live.GetUID()}
	fate := Fate{
		Kept:     live.GetAnnotations()[v1alpha1.PruneAnnotation] == v1alpha1.PruneDisabled,
		Data:     HoldsData(live),
		Approved: c.approved(live),
	}
	switch {
	case live.GetDeletionTimestamp() != nil:
		change.Verdict, change.Reason = Destroy, ReasonTerminating
	default:
		change.Verdict, change.Reason, change.NeedsApproval = fate.decide(c.in.Policy.Policy)
	}
	c.pruned = append(c.pruned, change)
}

// Fate is what decides over an object that left the source.
type Fate struct {
	// Kept says that its annotation forbids to prune it.
	Kept bool
	// Data says that it holds data.
	Data bool
	// Approved says that its UID is in spec.prune.approved.
	Approved bool
}

// decide is the table of docs/safety.md:
//
//	policy    kept     approved   data            else
//	Retain    Retain   Destroy    Retain          Destroy
//	Confirm   Retain   Destroy    needs approval  needs approval
//	Delete    Retain   Destroy    needs approval  Destroy
func (f Fate) decide(policy v1alpha1.PrunePolicy) (verdict Verdict, reason string, needsApproval bool) {
	switch {
	case f.Kept:
		return Retain, ReasonKept, false
	case f.Approved:
		return Destroy, ReasonApproved, false
	case policy == v1alpha1.PruneConfirm:
		return Destroy, "", true
	case f.Data && policy == v1alpha1.PruneDelete:
		return Destroy, ReasonHoldsData, true
	case f.Data:
		return Retain, ReasonHoldsData, false
	default:
		return Destroy, "", false
	}
}

// pruneOrder sorts so that what refers to others goes before them.
func pruneOrder(changes []Change, live map[Key]*unstructured.Unstructured) []Change {
	objects := make([]*unstructured.Unstructured, 0, len(changes))
	byKey := make(map[Key]Change, len(changes))
	for _, c := range changes {
		objects = append(objects, live[c.Key()])
		byKey[c.Key()] = c
	}
	ordered, err := Order(objects)
	if err != nil {
		ordered = byRank(objects)
	}
	slices.Reverse(ordered)
	sorted := make([]Change, 0, len(changes))
	for _, u := range ordered {
		sorted = append(sorted, byKey[KeyOf(u)])
	}
	return sorted
}

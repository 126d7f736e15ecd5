package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// Verdict is what a change does to an object.
type Verdict string

// The verdicts.
const (
	// Create makes an object that is not there.
	Create Verdict = "Create"
	// Live changes an object, and takes effect at once.
	Live Verdict = "Live"
	// Restart changes a machine, and takes effect when it restarts.
	Restart Verdict = "Restart"
	// Replace deletes an object and makes it again, because a field that changed
	// is immutable.
	Replace Verdict = "Replace"
	// Destroy deletes an object that left the source.
	Destroy Verdict = "Destroy"
	// Retain keeps an object that left the source.
	Retain Verdict = "Retain"
	// None leaves an object as it is.
	None Verdict = "None"
)

// Input is all that a plan depends on.
type Input struct {
	// Owner is the Environment that the objects belong to.
	Owner types.NamespacedName
	// Revision that Desired was rendered from, for messages only.
	Revision string
	// Desired objects, labeled for the owner, after Normalize and Stamp.
	Desired []*unstructured.Unstructured
	// Live objects among the desired ones, the inventory and the tombstones, after
	// Redact. An object that is not among them does not exist.
	Live []*unstructured.Unstructured
	// Inventory of the owner.
	Inventory []v1alpha1.InventoryEntry
	// Tombstones of the owner.
	Tombstones []v1alpha1.Tombstone
	// Policy for objects that left the source.
	Policy v1alpha1.Prune
	// Deciders by kind. A change of a kind without one is Live.
	Deciders map[schema.GroupKind]Decider
}

// Decider says what the change of an object does to what runs: Live or Restart.
// It gets the live object and the same object as it would be after the apply.
type Decider func(live, next *unstructured.Unstructured) (Verdict, error)

// FieldChange is one field that changes.
type FieldChange struct {
	// Path of the field, such as spec.cpu.cores or spec.blockDeviceRefs.0.name.
	Path string `json:"path"`
	// From is the live value, nil when there is none.
	From any `json:"from,omitempty"`
	// To is the desired value, nil when the field goes.
	To any `json:"to,omitempty"`
	// Hidden says that the values are not shown because they may be secret.
	Hidden bool `json:"hidden,omitempty"`
}

// Reasons of changes whose verdict alone does not tell the story.
const (
	// ReasonAdopt: the object exists already and is taken into the inventory.
	ReasonAdopt = "Adopt"
	// ReasonDrift: the source did not change, the live object did.
	ReasonDrift = "Drift"
	// ReasonHoldsData: the object is kept because it holds data.
	ReasonHoldsData = "HoldsData"
	// ReasonKept: the object is kept because its annotation says so.
	ReasonKept = "Kept"
	// ReasonImmutable: a field that cannot be changed in place changed.
	ReasonImmutable = "Immutable"
	// ReasonApproved: the object's UID is in spec.prune.approved.
	ReasonApproved = "Approved"
	// ReasonTerminating: the live object is being deleted.
	ReasonTerminating = "Terminating"
)

// Change is what happens to one object.
type Change struct {
	Ref v1alpha1.ObjectReference `json:"ref"`
	// UID of the live object; empty for Create.
	UID     types.UID     `json:"uid,omitempty"`
	Verdict Verdict       `json:"verdict"`
	Fields  []FieldChange `json:"fields,omitempty"`
	// Reason is one of the reasons above, or empty.
	Reason string `json:"reason,omitempty"`
	// Message says why, where the verdict is not enough.
	Message string `json:"message,omitempty"`
	// RenamedFrom names an object of this plan that seems to be the same one under
	// its old name.
	RenamedFrom string `json:"renamedFrom,omitempty"`
	// NeedsApproval says that the object is destroyed only once its UID is in
	// spec.prune.approved.
	NeedsApproval bool `json:"needsApproval,omitempty"`
}

// Key of the object.
func (c Change) Key() Key { return KeyOfReference(c.Ref) }

// Problem is a wish that no apply can fulfill.
type Problem struct {
	Ref v1alpha1.ObjectReference `json:"ref"`
	// Reason is a condition reason of api/gitops/v1alpha1.
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Plan is what an apply would do.
type Plan struct {
	// Revision the plan leads to.
	Revision string `json:"revision,omitempty"`
	// Changes in the order of apply, then those of prune in the order of deletion.
	Changes []Change `json:"changes"`
	// Problems that stop the plan.
	Problems []Problem `json:"problems,omitempty"`
	// Summary counts the changes by verdict.
	Summary v1alpha1.PlanSummary `json:"summary"`
	// Digest names the plan: equal digests say equal changes. It does not depend on
	// the revision.
	Digest string `json:"digest"`
}

// HasChanges tells whether the plan does anything.
func (p Plan) HasChanges() bool {
	s := p.Summary
	return s.Create+s.Live+s.Restart+s.Replace+s.Destroy+s.Retain > 0
}

// With returns the changes of the given verdicts, in order.
func (p Plan) With(verdicts ...Verdict) []Change {
	var found []Change
	for _, c := range p.Changes {
		for _, v := range verdicts {
			if c.Verdict == v {
				found = append(found, c)
			}
		}
	}
	return found
}

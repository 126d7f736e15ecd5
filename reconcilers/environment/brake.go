package environment

import (
	"fmt"
	"strings"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

// massMinimum is how many deletions are needed before they can be too many:
// deleting one object is never a mass deletion.
const massMinimum = 2

// brake says why a plan must not be carried out, nil when it may.
func brake(p plan.Plan, desired int, env *v1alpha1.Environment) *Refusal {
	switch {
	case desired == 0:
		return emptyRevision(env)
	case tooMany(p.With(plan.Destroy), len(env.Status.Inventory)):
		return massDeletion(unapproved(p.With(plan.Destroy)), len(env.Status.Inventory))
	}
	if replaced := needingApproval(p.With(plan.Replace)); len(replaced) > 0 {
		return refuse(v1alpha1.ApprovalRequiredReason, "the revision replaces %s; nothing of it is applied: %s",
			list(replaced), approval)
	}
	if restarts := p.With(plan.Restart); env.Spec.Disruption.Restart == v1alpha1.RestartNever && len(restarts) > 0 {
		return refuse(v1alpha1.RestartForbiddenReason, "the revision needs a restart of %s and spec.disruption.restart is Never; nothing of it is applied", list(restarts))
	}
	return nil
}

const approval = "add the UIDs to spec.prune.approved of the Environment, or undo the change in the source"

func emptyRevision(env *v1alpha1.Environment) *Refusal {
	if len(env.Status.Inventory) == 0 {
		return refuse(v1alpha1.EmptyRevisionReason, "the revision has no objects in path %q; correct spec.path or add manifests", env.Spec.Path)
	}
	names := make([]string, 0, len(env.Status.Inventory))
	for _, e := range env.Status.Inventory {
		names = append(names, plan.KeyOfReference(e.ObjectReference).String())
	}
	return refuse(v1alpha1.EmptyRevisionReason,
		"the revision has no objects in path %q, and all %d of the inventory would go: %s; correct spec.path or the source, or delete the Environment if this is meant",
		env.Spec.Path, len(names), strings.Join(shorten(names), ", "))
}

// tooMany tells whether deletions that nobody approved are a mass deletion: more
// than half of the inventory.
func tooMany(destroyed []plan.Change, inventory int) bool {
	n := len(unapproved(destroyed))
	return n >= massMinimum && 2*n > inventory
}

// unapproved are the deletions that would just happen.
func unapproved(destroyed []plan.Change) []plan.Change {
	var found []plan.Change
	for _, c := range destroyed {
		if c.Reason != plan.ReasonApproved && c.Reason != plan.ReasonTerminating && !c.NeedsApproval {
			found = append(found, c)
		}
	}
	return found
}

func massDeletion(destroyed []plan.Change, inventory int) *Refusal {
	return refuse(v1alpha1.MassDeletionReason, "the revision would delete %d of %d objects, more than half: %s; nothing of it is applied: %s",
		len(destroyed), inventory, list(destroyed), approval)
}

func needingApproval(changes []plan.Change) []plan.Change {
	var found []plan.Change
	for _, c := range changes {
		if c.NeedsApproval {
			found = append(found, c)
		}
	}
	return found
}

// list names changes with the UIDs that approve them.
func list(changes []plan.Change) string {
	names := make([]string, 0, len(changes))
	for _, c := range changes {
		name := fmt.Sprintf("%s (uid %s)", c.Key(), c.UID)
		if c.Verdict == plan.Replace && c.Message != "" {
			name += ", " + c.Message
		}
		names = append(names, name)
	}
	return strings.Join(shorten(names), ", ")
}

// listLimit keeps messages readable and conditions within their size.
const listLimit = 20

func shorten(names []string) []string {
	if len(names) <= listLimit {
		return names
	}
	rest := len(names) - listLimit
	return append(names[:listLimit:listLimit], fmt.Sprintf("and %d more", rest))
}

package health

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Test tells whether something holds for the content of an object.
type Test func(object map[string]any) (bool, error)

// Rule judges objects in place of what this package knows about their kind.
// InProgress is asked first, then Failed, then Current; an object for which none
// of them holds is on its way. A test that is nil does not hold.
type Rule struct{ InProgress, Failed, Current Test }

// Rules by kind. A nil map has none.
type Rules map[schema.GroupKind]Rule

// ReasonUndecided says that an expression cannot be evaluated over the object.
const ReasonUndecided = "ExpressionFailed"

func (r Rules) of(u *unstructured.Unstructured, now time.Time) Health {
	rule, ruled := r[u.GroupVersionKind().GroupKind()]
	if !ruled || u.GetDeletionTimestamp() != nil {
		return Of(u, now)
	}
	return rule.judge(object{u: u, now: now})
}

func (r Rule) judge(o object) Health {
	if behind, ok := o.unseenChange(); ok {
		return behind
	}
	for _, step := range []struct {
		test  Test
		holds func() Health
	}{
		{r.InProgress, func() Health { return o.moving("InProgress", "is in progress") }},
		{r.Failed, func() Health { return degraded("Failed", "has failed") }},
		{r.Current, func() Health { return healthy("is current") }},
	} {
		if step.test == nil {
			continue
		}
		holds, err := step.test(o.u.Object)
		switch {
		case err != nil:
			return o.moving(ReasonUndecided, "cannot be judged: "+err.Error())
		case holds:
			return step.holds()
		}
	}
	return o.moving("InProgress", "is not current yet")
}

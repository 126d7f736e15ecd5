package health_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/environment/health"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRules(t *testing.T) {
	phase := func(want string) health.Test {
		return func(object map[string]any) (bool, error) {
			got, found, _ := unstructured.NestedString(object, "status", "phase")
			if !found {
				return false, errors.New("no such key: phase")
			}
			return got == want, nil
		}
	}
	rule := health.Rule{InProgress: phase("Pending"), Failed: phase("Failed"), Current: phase("Ready")}
	tests := map[string]struct {
		rule   health.Rule
		rest   string
		want   health.State
		reason string
	}{
		"current":                    {rule, "status: {phase: Ready}", health.Healthy, ""},
		"failed":                     {rule, "status: {phase: Failed}", health.Degraded, "Failed"},
		"in progress":                {rule, "status: {phase: Pending}", health.Progressing, "InProgress"},
		"none of them":               {rule, "status: {phase: Odd}", health.Progressing, "InProgress"},
		"only what is needed":        {health.Rule{Current: phase("Ready")}, "status: {phase: Failed}", health.Progressing, "InProgress"},
		"the first that holds":       {health.Rule{InProgress: phase("Ready"), Failed: phase("Ready"), Current: phase("Ready")}, "status: {phase: Ready}", health.Progressing, "InProgress"},
		"failed before current":      {health.Rule{Failed: phase("Ready"), Current: phase("Ready")}, "status: {phase: Ready}", health.Degraded, "Failed"},
		"not observed since":         {rule, "metadata: {generation: 2}\nstatus: {phase: Ready, observedGeneration: 1}", health.Progressing, health.ReasonNotObserved},
		"cannot be evaluated":        {rule, "status: {}", health.Progressing, health.ReasonUndecided},
		"cannot be evaluated, long":  {rule, "metadata: {creationTimestamp: '2026-05-01T11:00:00Z'}", health.Degraded, health.ReasonStandsStill},
		"being deleted":              {rule, "metadata: {deletionTimestamp: '2026-05-01T11:00:00Z'}\nstatus: {phase: Ready}", health.Progressing, health.ReasonTerminating},
		"in place of what is known":  {health.Rule{Current: phase("Failed")}, "status: {phase: Failed}", health.Healthy, ""},
		"stands still in its course": {rule, "metadata: {creationTimestamp: '2026-05-01T11:00:00Z'}\nstatus: {phase: Pending}", health.Degraded, health.ReasonStandsStill},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			disk := object(t, "VirtualDisk", test.rest)
			rules := health.Rules{schema.GroupKind{Group: "virtualization.deckhouse.io", Kind: "VirtualDisk"}: test.rule}
			got := health.Judge([]*unstructured.Unstructured{disk}, rules, now)[plan.KeyOf(disk)]
			if got.State != test.want || got.Reason != test.reason {
				t.Errorf("health = %s %s (%s), want %s %s", got.State, got.Reason, got.Message, test.want, test.reason)
			}
		})
	}
	image := object(t, "VirtualImage", "status: {phase: Ready}")
	rules := health.Rules{schema.GroupKind{Group: "virtualization.deckhouse.io", Kind: "VirtualDisk"}: rule}
	if got := health.Judge([]*unstructured.Unstructured{image}, rules, now.Add(time.Hour))[plan.KeyOf(image)]; got.State != health.Healthy {
		t.Errorf("a kind without a rule is %s", got.State)
	}
}

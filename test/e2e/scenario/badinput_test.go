package scenario_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/test/e2e/scenario"
)

func TestTold(t *testing.T) {
	words := []string{"Provisioning", "404"}
	failed := metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "ProvisioningFailed", Message: "the server says 404"}
	well := failed
	well.Status = metav1.ConditionTrue
	stalled := metav1.Condition{Type: "Stalled", Status: metav1.ConditionTrue, Reason: "ProvisioningFailed", Message: "404"}
	other := failed
	other.Message = "the server is away"
	cases := map[string]struct {
		conditions []metav1.Condition
		told       bool
	}{
		"nothing":                      {nil, false},
		"a condition that is false":    {[]metav1.Condition{other, failed}, true},
		"one that is true":             {[]metav1.Condition{well}, false},
		"stalled":                      {[]metav1.Condition{stalled}, true},
		"words in different ones":      {[]metav1.Condition{other, {Type: "A", Status: metav1.ConditionFalse, Message: "404"}}, false},
		"something else that is wrong": {[]metav1.Condition{other}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := scenario.Told(c.conditions, words); (err == nil) != c.told {
				t.Errorf("told: %v", err)
			}
		})
	}
}

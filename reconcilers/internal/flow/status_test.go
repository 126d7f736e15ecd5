package flow

import (
	"testing"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

func TestStatusPatch(t *testing.T) {
	type status = v1alpha1.EnvironmentStatus
	health := func(healthy int32) *v1alpha1.HealthStatus { return &v1alpha1.HealthStatus{Healthy: healthy, Total: 3} }
	cases := map[string]struct {
		before, after status
		want          string
	}{
		"nothing":                               {status{ObservedGeneration: 1}, status{ObservedGeneration: 1}, `{}`},
		"a field that was empty":                {status{ObservedGeneration: 1}, status{ObservedGeneration: 1, LastAppliedRevision: "x"}, `{"lastAppliedRevision":"x"}`},
		"a field emptied beside one that stays": {status{ObservedGeneration: 1, LastAppliedRevision: "x"}, status{ObservedGeneration: 1}, `{"lastAppliedRevision":null}`},
		"all emptied":                           {status{LastAppliedRevision: "x"}, status{}, `{"lastAppliedRevision":null}`},
		"a part of a field":                     {status{Health: health(1)}, status{Health: health(2)}, `{"health":{"healthy":2}}`},
		"a structure that goes":                 {status{Health: health(1)}, status{}, `{"health":null}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			was, is, differ := changed(statusOf(&v1alpha1.Environment{Status: c.before}), statusOf(&v1alpha1.Environment{Status: c.after}))
			if want := c.want != "{}"; differ != want {
				t.Errorf("differ is %t, want %t", differ, want)
			}
			got, err := statusPatch("7", was, is)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"metadata":{"resourceVersion":"7"},"status":` + c.want + `}`; string(got) != want {
				t.Errorf("patch %s, want %s", got, want)
			}
		})
	}
}

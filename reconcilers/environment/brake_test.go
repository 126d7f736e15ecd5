package environment

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/environment/health"
)

func TestBrake(t *testing.T) {
	changes := func(n int, verdict plan.Verdict, with func(*plan.Change)) []plan.Change {
		var list []plan.Change
		for i := range n {
			c := plan.Change{
				Ref: v1alpha1.ObjectReference{Kind: "VirtualMachine", Namespace: "team", Name: fmt.Sprint("vm-", i)}, Verdict: verdict,
				UID: types.UID(fmt.Sprint("uid-", i)),
			}
			if with != nil {
				with(&c)
			}
			list = append(list, c)
		}
		return list
	}
	approved := func(c *plan.Change) { c.Reason = plan.ReasonApproved }
	tests := map[string]struct {
		changes   []plan.Change
		desired   int
		inventory int
		restart   v1alpha1.RestartPolicy
		want      string
	}{
		"nothing changes":                   {desired: 3, inventory: 3},
		"an empty revision":                 {inventory: 3, want: v1alpha1.EmptyRevisionReason},
		"an empty first revision":           {want: v1alpha1.EmptyRevisionReason},
		"half goes":                         {changes: changes(2, plan.Destroy, nil), desired: 2, inventory: 4},
		"more than half goes":               {changes: changes(3, plan.Destroy, nil), desired: 1, inventory: 4, want: v1alpha1.MassDeletionReason},
		"more than half goes, replaced":     {changes: changes(3, plan.Destroy, nil), desired: 9, inventory: 4, want: v1alpha1.MassDeletionReason},
		"one of one goes":                   {changes: changes(1, plan.Destroy, nil), desired: 1, inventory: 1},
		"two of two go":                     {changes: changes(2, plan.Destroy, nil), desired: 1, inventory: 2, want: v1alpha1.MassDeletionReason},
		"more than half goes, with consent": {changes: changes(3, plan.Destroy, approved), desired: 1, inventory: 4},
		"more than half is kept":            {changes: changes(3, plan.Retain, nil), desired: 1, inventory: 4},
		"more than half waits for consent":  {changes: changes(3, plan.Destroy, func(c *plan.Change) { c.NeedsApproval = true }), desired: 1, inventory: 4},
		"more than half goes already":       {changes: changes(3, plan.Destroy, func(c *plan.Change) { c.Reason = plan.ReasonTerminating }), desired: 1, inventory: 4},
		"a replacement":                     {changes: changes(1, plan.Replace, nil), desired: 4, inventory: 4},
		"a replacement of data":             {changes: changes(1, plan.Replace, func(c *plan.Change) { c.NeedsApproval = true }), desired: 4, inventory: 4, want: v1alpha1.ApprovalRequiredReason},
		"a restart":                         {changes: changes(1, plan.Restart, nil), desired: 4, inventory: 4, restart: v1alpha1.RestartImmediate},
		"a restart that is forbidden":       {changes: changes(1, plan.Restart, nil), desired: 4, inventory: 4, restart: v1alpha1.RestartNever, want: v1alpha1.RestartForbiddenReason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			env := &v1alpha1.Environment{}
			env.Spec.Disruption.Restart = test.restart
			env.Status.Inventory = make([]v1alpha1.InventoryEntry, test.inventory)
			got := ""
			if refusal := brake(plan.Plan{Changes: test.changes}, test.desired, env); refusal != nil {
				got = refusal.Reason
			}
			if got != test.want {
				t.Errorf("brake = %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha1.EnvironmentSpec)
		want   []string
	}{
		"plain":           {func(*v1alpha1.EnvironmentSpec) {}, nil},
		"our own version": {func(s *v1alpha1.EnvironmentSpec) { s.SourceRef.APIVersion = "gitops.slipway.dev/v1alpha1" }, nil},
		"another source":  {func(s *v1alpha1.EnvironmentSpec) { s.SourceRef.APIVersion = "source.toolkit.fluxcd.io/v1beta2" }, []string{"spec.sourceRef.apiVersion: source.toolkit.fluxcd.io/v1beta2"}},
		"a bundle":        {func(s *v1alpha1.EnvironmentSpec) { s.SourceRef.Kind = v1alpha1.OCIRepositoryKind }, nil},
		"windows": {func(s *v1alpha1.EnvironmentSpec) {
			s.Disruption = v1alpha1.Disruption{Restart: v1alpha1.RestartWindow, Windows: make([]v1alpha1.Window, 1)}
		}, []string{"spec.disruption.restart: Window", "spec.disruption.windows"}},
		"snapshots": {func(s *v1alpha1.EnvironmentSpec) { s.Disruption.PreChange = v1alpha1.PreChangeSnapshot }, []string{"spec.disruption.preChange: Snapshot"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := v1alpha1.EnvironmentSpec{SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "vms"}}
			test.change(&spec)
			if diff := cmp.Diff(test.want, unsupported(spec)); diff != "" {
				t.Errorf("unsupported (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecideMachine(t *testing.T) {
	machine := func(phase string, cores int64, policy string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"spec": map[string]any{
				"runPolicy": policy, "virtualMachineClassName": "generic",
				"cpu": map[string]any{"cores": cores}, "memory": map[string]any{"size": "1Gi"},
			},
			"status": map[string]any{"phase": phase},
		}}
	}
	tests := map[string]struct {
		live, next *unstructured.Unstructured
		want       plan.Verdict
	}{
		"cores of a machine that runs":    {machine("Running", 1, "AlwaysOn"), machine("Running", 2, "AlwaysOn"), plan.Restart},
		"cores of a machine that is off":  {machine("Stopped", 1, "AlwaysOn"), machine("Stopped", 2, "AlwaysOn"), plan.Live},
		"cores of a machine not made yet": {machine("", 1, "AlwaysOn"), machine("", 2, "AlwaysOn"), plan.Live},
		"the run policy":                  {machine("Running", 1, "AlwaysOn"), machine("Running", 1, "Manual"), plan.Live},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := decideMachine(test.live, test.next)
			if err != nil || got != test.want {
				t.Errorf("verdict = %q, %v, want %q", got, err, test.want)
			}
		})
	}
	broken := machine("Running", 1, "AlwaysOn")
	broken.Object["spec"].(map[string]any)["cpu"] = "two"
	if _, err := decideMachine(machine("Running", 1, "AlwaysOn"), broken); err == nil {
		t.Error("a spec that cannot be read is judged")
	}
}

func TestWakeAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) health.Health { return health.Health{Deadline: now.Add(d)} }
	tests := map[string]struct {
		interval time.Duration
		health   []health.Health
		want     time.Duration
	}{
		"the interval":              {5 * time.Minute, nil, 5 * time.Minute},
		"no interval":               {0, nil, defaultInterval},
		"when something is late":    {5 * time.Minute, []health.Health{{}, at(2 * time.Minute), at(3 * time.Minute)}, 2 * time.Minute},
		"something is late already": {5 * time.Minute, []health.Health{at(-time.Minute)}, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &scope{env: &v1alpha1.Environment{}, now: now, health: map[plan.Key]health.Health{}}
			s.env.Spec.Interval = metav1.Duration{Duration: test.interval}
			for i, h := range test.health {
				s.health[plan.Key{Name: fmt.Sprint(i)}] = h
			}
			if got := wakeAfter(s); got != test.want {
				t.Errorf("wake after %s, want %s", got, test.want)
			}
		})
	}
}

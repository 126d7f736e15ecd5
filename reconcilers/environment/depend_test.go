package environment

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/expression"
)

func TestUnready(t *testing.T) {
	const revision = "main@sha1:0002"
	db := func(change func(*v1alpha1.Environment)) *v1alpha1.Environment {
		env := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "db", Generation: 2, Labels: map[string]string{"stage": "two"}}}
		env.Spec.SourceRef = v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "other"}
		env.Status.ObservedGeneration, env.Status.LastAppliedRevision = 2, "main@sha1:0001"
		env.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue}}
		change(env)
		return env
	}
	tests := map[string]struct {
		env   *v1alpha1.Environment
		ready string
		want  string
	}{
		"ready":         {env: db(func(*v1alpha1.Environment) {})},
		"missing":       {want: "is not there"},
		"being deleted": {env: db(func(e *v1alpha1.Environment) { e.DeletionTimestamp = ptr.To(metav1.Now()) }), want: "is being deleted"},
		"changed":       {env: db(func(e *v1alpha1.Environment) { e.Generation = 3 }), want: "has not taken up its last change"},
		"new":           {env: db(func(e *v1alpha1.Environment) { e.Status.Conditions = nil }), want: "was not looked at"},
		"degraded": {env: db(func(e *v1alpha1.Environment) {
			e.Status.Conditions[0] = metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Message: "VirtualMachine db cannot run"}
		}), want: "is not ready: VirtualMachine db cannot run"},
		"on its way":          {env: db(func(e *v1alpha1.Environment) { e.Status.Conditions[0].Status = metav1.ConditionUnknown }), want: "is not ready"},
		"same source, behind": {env: db(func(e *v1alpha1.Environment) { e.Spec.SourceRef.Name = "vms" }), want: "has the same source and has not applied " + revision},
		"same source":         {env: db(func(e *v1alpha1.Environment) { e.Spec.SourceRef.Name, e.Status.LastAppliedRevision = "vms", revision })},
		"expression holds": {
			env:   db(func(e *v1alpha1.Environment) { e.Status.Conditions = nil }),
			ready: "dep.metadata.labels['stage'] == self.metadata.labels['stage'] && dep.metadata.generation == dep.status.observedGeneration",
		},
		"expression does not hold":       {env: db(func(*v1alpha1.Environment) {}), ready: "dep.metadata.name == self.metadata.name", want: "does not satisfy its readyExpr"},
		"expression cannot be evaluated": {env: db(func(*v1alpha1.Environment) {}), ready: "dep.status.plan.digest == ''", want: "cannot be judged by its readyExpr: evaluate \"dep.status.plan.digest == ''\": no such key: plan"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			self := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: map[string]string{"stage": "two"}}}
			self.Spec.SourceRef = v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "vms"}
			d := dependency{env: tc.env, self: self, revision: revision}
			if tc.ready != "" {
				d.expression = must(expression.Compile(tc.ready, "dep", "self"))(t)
			}
			got := unready(t.Context(), d)
			if !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
				t.Errorf("unready = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRingOf(t *testing.T) {
	tests := map[string]struct {
		on   map[string][]string
		want []string
	}{
		"none":           {map[string][]string{"app": {"db", "cache"}, "db": {"net"}, "cache": {"net"}}, nil},
		"itself":         {map[string][]string{"app": {"app"}}, []string{"app", "app"}},
		"two":            {map[string][]string{"app": {"db"}, "db": {"app"}}, []string{"app", "db", "app"}},
		"by a long way":  {map[string][]string{"app": {"cache", "db"}, "cache": {"net"}, "db": {"net", "disk"}, "disk": {"app"}}, []string{"app", "db", "disk", "app"}},
		"among others":   {map[string][]string{"app": {"db"}, "db": {"cache"}, "cache": {"db"}}, nil},
		"what is not":    {map[string][]string{"app": {"db"}, "db": {"gone"}}, nil},
		"many, no ring":  {ladder(60), nil},
		"many, one ring": {withRing(ladder(60)), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			all := map[string]*v1alpha1.Environment{}
			for name, on := range tc.on {
				env := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}}
				for _, d := range on {
					env.Spec.DependsOn = append(env.Spec.DependsOn, v1alpha1.Dependency{Name: d})
				}
				all[name] = env
			}
			got := ringOf("app", all)
			if name == "many, one ring" {
				if len(got) == 0 || got[len(got)-1] != "app" {
					t.Errorf("ring = %v, want one", got)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ring (-want +got):\n%s", diff)
			}
		})
	}
}

// ladder is a graph with two ways on each of its steps.
func ladder(steps int) map[string][]string {
	on := map[string][]string{"app": {"l0", "r0"}}
	for i := range steps {
		n := string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10))
		at := string(rune('0'+i/10)) + string(rune('0'+i%10))
		if i == 0 {
			at = "0"
		}
		on["l"+at], on["r"+at] = []string{"l" + n, "r" + n}, []string{"l" + n, "r" + n}
	}
	return on
}

func withRing(on map[string][]string) map[string][]string {
	on["r60"] = []string{"app"}
	return on
}

func TestDependencyHoldsBackWhatIsNew(t *testing.T) {
	w := newWorld(t)
	db := &v1alpha1.Environment{ObjectMeta: w.named("db"), Spec: v1alpha1.EnvironmentSpec{
		SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "other"}, ServiceAccountName: account,
	}}
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.DependsOn = []v1alpha1.Dependency{{Name: "db"}} })
	w.push("main@sha1:0001", map[string]string{"settings.yaml": settings})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.DependencyNotReadyReason, "Environment db is not there")
	if w.live("ConfigMap", "settings") != nil {
		t.Fatal("applied before the dependency is ready")
	}

	w.create(db)
	w.readiness(db, metav1.ConditionTrue)
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)

	// What is in place goes on when the dependency fails: drift is corrected.
	w.readiness(db, metav1.ConditionFalse)
	if err := w.admin.Delete(t.Context(), w.live("ConfigMap", "settings")); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if w.live("ConfigMap", "settings") == nil {
		t.Error("drift is not corrected while a dependency fails")
	}

	// What is new waits.
	w.push("main@sha1:0002", map[string]string{"settings.yaml": strings.ReplaceAll(settings, "blue", "green")})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.DependencyNotReadyReason, "Environment db is not ready")
	w.readiness(db, metav1.ConditionTrue)
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)

	// A ring is named.
	w.get("db", db)
	db.Spec.DependsOn = []v1alpha1.Dependency{{Name: "prod"}}
	if err := w.admin.Update(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.NamePrefix = "a-" })
	w.settle()
	w.wantStalled(v1alpha1.DependencyCycleReason, "prod → db → prod")

	// An expression that cannot be used is named with its field.
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.DependsOn = []v1alpha1.Dependency{{Name: "db", ReadyExpr: "dep.status.("}}
	})
	w.settle()
	w.wantStalled(v1alpha1.InvalidCELExpressionReason, "spec.dependsOn[0].readyExpr", "Syntax error")
}

// readiness plays the run of another Environment.
func (w *world) readiness(env *v1alpha1.Environment, status metav1.ConditionStatus) {
	w.Helper()
	w.get(env.Name, env)
	env.Status.ObservedGeneration = env.Generation
	meta.SetStatusCondition(&env.Status.Conditions, metav1.Condition{Type: v1alpha1.ReadyCondition, Status: status, Reason: "Played"})
	if err := w.admin.Status().Update(w.Context(), env); err != nil {
		w.Fatal(err)
	}
}

func TestExpressionsJudgeHealth(t *testing.T) {
	w := newWorld(t)
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.HealthCheckExprs = []v1alpha1.HealthCheckExpr{{
			APIVersion: "v1", Kind: "ConfigMap", Current: "data.color == 'blue'", Failed: "data.color == 'red'", InProgress: "data.color == 'green'",
		}}
	})
	colors := func(revision, color string) {
		w.push(revision, map[string]string{"settings.yaml": strings.ReplaceAll(settings, "blue", color)})
		w.settle()
	}
	colors("main@sha1:0001", "green")
	w.want(metav1.ConditionUnknown, v1alpha1.ProgressingReason, "is in progress")
	colors("main@sha1:0002", "red")
	w.want(metav1.ConditionFalse, v1alpha1.DegradedReason, "has failed")
	colors("main@sha1:0003", "yellow")
	w.want(metav1.ConditionUnknown, v1alpha1.ProgressingReason, "is not current yet")
	colors("main@sha1:0004", "blue")
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)

	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.HealthCheckExprs[0].Current = "status.phase == 'Ready'" })
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.ProgressingReason, "cannot be judged", "no such attribute")
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.HealthCheckExprs[0].Failed = "'yes'" })
	w.settle()
	w.wantStalled(v1alpha1.InvalidCELExpressionReason, "spec.healthCheckExprs[0].failed", "true or false")
}

func TestHealthChecksCount(t *testing.T) {
	w := newWorld(t)
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.HealthChecks = []v1alpha1.HealthCheck{
			{APIVersion: "virtualization.deckhouse.io/v1alpha2", Kind: "VirtualDisk", Name: "shared"},
			{APIVersion: "v1", Kind: "ConfigMap", Name: "settings"}, // of the revision itself
			{APIVersion: "virtualization.deckhouse.io/v1alpha2", Kind: "VirtualDisk", Name: "shared"},
		}
	})
	w.push("main@sha1:0001", map[string]string{"settings.yaml": settings})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.ProgressingReason, "shared is not there yet")
	if got := w.env.Status.Health.Total; got != 2 {
		t.Errorf("%d objects are judged, want 2", got)
	}
	shared := w.blank("VirtualDisk", "shared")
	shared.Object["spec"] = map[string]any{"persistentVolumeClaim": map[string]any{"size": "1Gi"}}
	w.create(shared)
	w.status("VirtualDisk", "shared", "phase: Failed")
	w.settle()
	w.want(metav1.ConditionFalse, v1alpha1.DegradedReason, "shared is Failed")
	w.status("VirtualDisk", "shared", "phase: Ready")
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if len(w.env.Status.Inventory) != 1 {
		t.Errorf("inventory = %v, want the object of the revision only", w.env.Status.Inventory)
	}

	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.HealthChecks = []v1alpha1.HealthCheck{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", Namespace: "kube-system"}}
	})
	if _, err := w.run(); err == nil {
		t.Error("the ServiceAccount's rights do not count")
	}
	w.want(metav1.ConditionFalse, v1alpha1.ForbiddenReason, "deployments.apps \"web\" is forbidden")
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.HealthChecks[0].Kind = "Deploiment" })
	if _, err := w.run(); err == nil {
		t.Error("an unknown kind is accepted")
	}
	w.want(metav1.ConditionFalse, v1alpha1.KindNotFoundReason, "spec.healthChecks[0]", "no kind Deploiment")
}

func TestWatchedNeighbors(t *testing.T) {
	w, _ := managed(t)
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.Path, s.DependsOn = "prod", []v1alpha1.Dependency{{Name: "db"}}
		s.HealthChecks = []v1alpha1.HealthCheck{{APIVersion: "v1", Kind: "ConfigMap", Name: "neighbor"}}
	})
	w.push("main@sha1:0001", map[string]string{"settings.yaml": settings})
	reason := func(want string) func(*v1alpha1.Environment) bool {
		return func(env *v1alpha1.Environment) bool {
			r := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReadyCondition)
			return r != nil && r.Reason == want
		}
	}
	w.await("waiting for the dependency", reason(v1alpha1.DependencyNotReadyReason))
	db := &v1alpha1.Environment{ObjectMeta: w.named("db"), Spec: v1alpha1.EnvironmentSpec{
		SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "source"}, Path: "db", ServiceAccountName: account,
	}}
	w.create(db)
	w.push("main@sha1:0002", map[string]string{"prod/settings.yaml": settings, "db/settings.yaml": strings.ReplaceAll(settings, "settings", "db")})
	w.await("waiting for the neighbor", func(env *v1alpha1.Environment) bool {
		return reason(v1alpha1.ProgressingReason)(env) && env.Status.LastAppliedRevision == "main@sha1:0002"
	})
	neighbor := w.blank("ConfigMap", "neighbor")
	w.create(neighbor)
	w.await("neighbor", ready("main@sha1:0002"))
	if err := w.admin.Delete(t.Context(), neighbor); err != nil {
		t.Fatal(err)
	}
	w.await("loss of the neighbor", reason(v1alpha1.ProgressingReason))

	// Rights that come and go are noticed.
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.HealthChecks[0].Namespace = "kube-public" })
	w.await("the right to look", reason(v1alpha1.ForbiddenReason))
}

package environment

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/expression"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// depend holds back what is new until the Environments that it depends on are
// ready. They are watched.
func (r *reconciler) depend(ctx context.Context, s *scope) flow.Outcome {
	if len(s.env.Spec.DependsOn) == 0 || s.inPlace() {
		return flow.Done()
	}
	reachable, err := r.reachable(ctx, s.env)
	if err != nil {
		return flow.Fail(v1alpha1.DependencyNotReadyReason, err)
	}
	if ring := ringOf(s.env.Name, reachable); ring != nil {
		return flow.Stall(v1alpha1.DependencyCycleReason, "spec.dependsOn leads in a ring: %s; remove one of these dependencies", strings.Join(ring, " → "))
	}
	var waits []string
	for i, d := range s.env.Spec.DependsOn {
		why := unready(ctx, dependency{env: reachable[d.Name], self: s.env, revision: s.tree.Revision, expression: s.expressions.ready[i]})
		if why != "" {
			waits = append(waits, "Environment "+d.Name+" "+why)
		}
	}
	if len(waits) > 0 {
		return flow.Wait(v1alpha1.DependencyNotReadyReason, 0, "%s", clip(strings.Join(waits, "; ")))
	}
	return flow.Done()
}

// inPlace tells whether this very revision and spec were applied already.
func (s *scope) inPlace() bool {
	applied := meta.FindStatusCondition(s.env.Status.Conditions, v1alpha1.AppliedCondition)
	return applied != nil && applied.Status == metav1.ConditionTrue && applied.ObservedGeneration == s.env.Generation &&
		s.env.Status.LastAppliedRevision == s.tree.Revision
}

// reachable reads the Environments that one depends on, directly or through others.
func (r *reconciler) reachable(ctx context.Context, env *v1alpha1.Environment) (map[string]*v1alpha1.Environment, error) {
	found := map[string]*v1alpha1.Environment{env.Name: env}
	for queue := []*v1alpha1.Environment{env}; len(queue) > 0; queue = queue[1:] {
		for _, d := range queue[0].Spec.DependsOn {
			if _, known := found[d.Name]; known {
				continue
			}
			next := &v1alpha1.Environment{}
			err := r.reader.Get(ctx, client.ObjectKey{Namespace: env.Namespace, Name: d.Name}, next)
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read Environment %s of spec.dependsOn: %w", d.Name, err)
			}
			found[d.Name] = next
			queue = append(queue, next)
		}
	}
	return found, nil
}

// ringOf is the way from an Environment through its dependencies back to itself;
// nil when there is none.
func ringOf(name string, environments map[string]*v1alpha1.Environment) []string {
	seen := map[string]bool{}
	var follow func(way []string) []string
	follow = func(way []string) []string {
		env := environments[way[len(way)-1]]
		if env == nil {
			return nil
		}
		for _, d := range env.Spec.DependsOn {
			next := append(slices.Clone(way), d.Name)
			if d.Name == name {
				return next
			}
			if seen[d.Name] {
				continue
			}
			seen[d.Name] = true
			if ring := follow(next); ring != nil {
				return ring
			}
		}
		return nil
	}
	return follow([]string{name})
}

// dependency is what decides whether an Environment may go on.
type dependency struct {
	// env is the one that is depended on; nil when it is not there.
	env  *v1alpha1.Environment
	self *v1alpha1.Environment
	// revision that self is about to apply.
	revision string
	// expression in place of the usual rule; may be nil.
	expression *expression.Expression
}

// unready says what a dependency lacks; nothing when it is ready.
func unready(ctx context.Context, d dependency) string {
	switch {
	case d.env == nil:
		return "is not there; create it, or correct spec.dependsOn"
	case d.env.DeletionTimestamp != nil:
		return "is being deleted"
	case d.expression != nil:
		return unsatisfied(ctx, d)
	case d.env.Status.ObservedGeneration != d.env.Generation:
		return "has not taken up its last change yet"
	}
	ready := meta.FindStatusCondition(d.env.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case ready == nil:
		return "was not looked at yet"
	case ready.Status != metav1.ConditionTrue:
		return "is not ready: " + ready.Message
	case d.env.Spec.SourceRef == d.self.Spec.SourceRef && d.env.Status.LastAppliedRevision != d.revision:
		return "has the same source and has not applied " + d.revision + " yet"
	}
	return ""
}

func unsatisfied(ctx context.Context, d dependency) string {
	dep, err := contentOf(d.env)
	if err != nil {
		return err.Error()
	}
	self, err := contentOf(d.self)
	if err != nil {
		return err.Error()
	}
	holds, err := d.expression.Holds(ctx, map[string]any{"dep": dep, "self": self})
	switch {
	case err != nil:
		return "cannot be judged by its readyExpr: " + err.Error()
	case !holds:
		return "does not satisfy its readyExpr yet"
	}
	return ""
}

func contentOf(env *v1alpha1.Environment) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(env)
	if err != nil {
		return nil, fmt.Errorf("read Environment %s: %w", env.Name, err)
	}
	content["apiVersion"], content["kind"] = v1alpha1.SchemeGroupVersion.String(), v1alpha1.EnvironmentKind
	return content, nil
}

// dependsOnIndex finds Environments by what they depend on.
const dependsOnIndex = "environment.dependsOn"

func indexDependsOn(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Environment{}, dependsOnIndex, byDependency)
	if err != nil {
		return fmt.Errorf("index Environments by what they depend on: %w", err)
	}
	return nil
}

func byDependency(o client.Object) []string {
	env, ok := o.(*v1alpha1.Environment)
	if !ok {
		return nil
	}
	names := make([]string, 0, len(env.Spec.DependsOn))
	for _, d := range env.Spec.DependsOn {
		names = append(names, d.Name)
	}
	return names
}

// dependents maps an Environment to those that depend on it.
func (r *reconciler) dependents() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		list := &v1alpha1.EnvironmentList{}
		err := r.reader.List(ctx, list, client.InNamespace(o.GetNamespace()), client.MatchingFields{dependsOnIndex: o.GetName()})
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list Environments that depend on one")
			return nil
		}
		requests := make([]reconcile.Request, 0, len(list.Items))
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
		return requests
	})
}

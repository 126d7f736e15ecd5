package environment

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/environment/health"
	"slipway.dev/slipway/reconcilers/internal/expression"
)

// expressions are those of a spec, compiled.
type expressions struct {
	uid        types.UID
	generation int64
	// ready are those of spec.dependsOn, in its order; nil where there is none.
	ready []*expression.Expression
	// health are those of spec.healthCheckExprs.
	health health.Rules
}

// compile makes the expressions of a spec, once for each generation of it.
func (s *scope) compile() error {
	known := s.findings.expressions
	if known == nil || known.uid != s.env.UID || known.generation != s.env.Generation {
		compiled, err := compileAll(s.env)
		if err != nil {
			return err
		}
		known = compiled
		s.findings.expressions = known
	}
	s.expressions = known
	return nil
}

func compileAll(env *v1alpha1.Environment) (*expressions, error) {
	all := &expressions{uid: env.UID, generation: env.Generation, health: health.Rules{}}
	for i, d := range env.Spec.DependsOn {
		ready, err := compileOne(fmt.Sprintf("spec.dependsOn[%d].readyExpr", i), d.ReadyExpr, func(text string) (*expression.Expression, error) {
			return expression.Compile(text, "dep", "self")
		})
		if err != nil {
			return nil, err
		}
		all.ready = append(all.ready, ready)
	}
	for i, e := range env.Spec.HealthCheckExprs {
		rule, err := ruleOf(fmt.Sprintf("spec.healthCheckExprs[%d]", i), e)
		if err != nil {
			return nil, err
		}
		all.health[schema.FromAPIVersionAndKind(e.APIVersion, e.Kind).GroupKind()] = rule
	}
	return all, nil
}

func ruleOf(field string, e v1alpha1.HealthCheckExpr) (health.Rule, error) {
	rule := health.Rule{}
	if e.Current == "" {
		return rule, refuse(v1alpha1.InvalidCELExpressionReason, "%s.current is empty; say when the object is healthy", field)
	}
	for _, part := range []struct {
		name, text string
		into       *health.Test
	}{{"inProgress", e.InProgress, &rule.InProgress}, {"failed", e.Failed, &rule.Failed}, {"current", e.Current, &rule.Current}} {
		compiled, err := compileOne(field+"."+part.name, part.text, expression.CompileOver)
		if err != nil {
			return rule, err
		}
		if compiled != nil {
			*part.into = func(object map[string]any) (bool, error) { return compiled.Holds(context.Background(), object) }
		}
	}
	return rule, nil
}

// compileOne compiles the expression of a field; nil when the field is empty.
func compileOne(field, text string, compile func(string) (*expression.Expression, error)) (*expression.Expression, error) {
	if text == "" {
		return nil, nil
	}
	compiled, err := compile(text)
	if err != nil {
		return nil, refuse(v1alpha1.InvalidCELExpressionReason, "%s: %w; correct it", field, err)
	}
	return compiled, nil
}

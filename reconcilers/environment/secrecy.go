package environment

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/render/substitute"
)

// hideSecrets takes the values of fields that a Secret's variable went into out
// of a plan. That they change stays visible.
func hideSecrets(p *plan.Plan, hidden map[plan.Key][]string) {
	for i := range p.Changes {
		change := &p.Changes[i]
		for j, f := range change.Fields {
			if touches(f.Path, hidden[change.Key()]) {
				change.Fields[j] = plan.FieldChange{Path: f.Path, Hidden: true}
			}
		}
	}
}

// touches reports whether a field is one of those named, holds one, or is part of
// one.
func touches(path string, fields []string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		return path == field || strings.HasPrefix(path, field+".") || strings.HasPrefix(field, path+".")
	})
}

// leastSecret is how long a value is at least for its text to be looked for in
// messages. Shorter ones stand in every other message by chance.
const leastSecret = 4

// secretValues lists the values of variables that come from Secrets, the longest
// first, so that no part of one is left.
func secretValues(variables substitute.Variables) []string {
	var values []string
	for _, v := range variables {
		value := strings.TrimSpace(v.Value)
		if v.Secret && len(value) >= leastSecret {
			values = append(values, value)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}

// discreet is a client whose errors do not hold the values of Secrets, which the
// API server quotes from objects that it refuses.
type discreet struct {
	client.Client
	secrets []string
}

// Apply implements client.Client.
func (d discreet) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return d.censor(d.Client.Apply(ctx, o, opts...))
}

func (d discreet) censor(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, value := range d.secrets {
		text = strings.ReplaceAll(text, value, "***")
	}
	return censored{err, text}
}

// censored is an error with another text.
type censored struct {
	error
	text string
}

// Error implements error.
func (c censored) Error() string { return c.text }

// Unwrap is the error as it was, to decide by.
func (c censored) Unwrap() error { return c.error }

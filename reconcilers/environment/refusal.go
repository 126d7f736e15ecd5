package environment

import (
	"errors"
	"fmt"
	"strings"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

// Refusal is an error that only a change of the source, the spec or the cluster
// can cure.
type Refusal struct {
	// Reason is a condition reason of api/gitops/v1alpha1.
	Reason string
	// Err says what is wrong and what to do.
	Err error
}

// Error is the text of the cause.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// refusalOf makes a refusal of the problems of a plan.
func refusalOf(problems []plan.Problem, origins map[plan.Key]string) *Refusal {
	texts := make([]string, 0, len(problems))
	for _, p := range problems {
		texts = append(texts, at(origins, plan.KeyOfReference(p.Ref))+p.Message)
	}
	return &Refusal{Reason: problems[0].Reason, Err: errors.New(strings.Join(texts, "; "))}
}

// at is the place of an object in the source, ready to stand before a message.
func at(origins map[plan.Key]string, key plan.Key) string {
	if origin := origins[key]; origin != "" {
		return origin + ": "
	}
	return ""
}

// unsupported lists the fields of a spec that this version does not implement.
func unsupported(spec v1alpha1.EnvironmentSpec) []string {
	known := spec.SourceRef.APIVersion == "" || spec.SourceRef.APIVersion == v1alpha1.SchemeGroupVersion.String() || spec.SourceRef.IsFlux()
	fields := []struct {
		used bool
		name string
	}{
		{!known, "sourceRef.apiVersion: " + spec.SourceRef.APIVersion},
		{spec.Disruption.Restart == v1alpha1.RestartWindow, "disruption.restart: Window"},
		{len(spec.Disruption.Windows) > 0, "disruption.windows"},
		{spec.Disruption.PreChange == v1alpha1.PreChangeSnapshot, "disruption.preChange: Snapshot"},
	}
	var found []string
	for _, f := range fields {
		if f.used {
			found = append(found, "spec."+f.name)
		}
	}
	return found
}

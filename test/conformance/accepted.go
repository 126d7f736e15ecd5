package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// acceptance is a difference that is meant to be there, and why.
type acceptance struct {
	// CRD is the plural name of the kind.
	CRD string `json:"crd"`
	// Path of the fields; * stands for one step, ** for any number of them.
	Path string `json:"path,omitempty"`
	// Aspects that differ, by the names of facts.go; "*" stands for all.
	Aspects []string `json:"aspects"`
	// Reason why the difference is right.
	Reason string `json:"reason"`

	match *regexp.Regexp
	used  bool
}

// acceptances are all differences that are meant to be there.
type acceptances []*acceptance

// parseAcceptances reads accepted.yaml. Each entry needs a reason.
func parseAcceptances(raw []byte) (acceptances, error) {
	var out acceptances
	if err := yaml.UnmarshalStrict(raw, &out); err != nil {
		return nil, fmt.Errorf("parse accepted differences: %w", err)
	}
	for i, a := range out {
		if a.CRD == "" || len(a.Aspects) == 0 || strings.TrimSpace(a.Reason) == "" {
			return nil, fmt.Errorf("accepted difference %d: give crd, aspects and reason", i+1)
		}
		match, err := regexp.Compile(pathPattern(a.Path))
		if err != nil {
			return nil, fmt.Errorf("accepted difference %d: path %q: %w", i+1, a.Path, err)
		}
		a.match = match
	}
	return out, nil
}

func pathPattern(glob string) string {
	pattern := regexp.QuoteMeta(glob)
	pattern = strings.ReplaceAll(pattern, `\*\*`, `.*`)
	pattern = strings.ReplaceAll(pattern, `\*`, `[^.]*`)
	return "^" + pattern + "$"
}

// rest takes the differences that are accepted out, and remembers which acceptances were needed.
func (all acceptances) rest(in []difference) []difference {
	var out []difference
	for _, d := range in {
		accepted := false
		for _, a := range all {
			if a.covers(d) {
				a.used, accepted = true, true
			}
		}
		if !accepted {
			out = append(out, d)
		}
	}
	return out
}

func (a *acceptance) covers(d difference) bool {
	return a.CRD == d.crd && a.match.MatchString(d.place.path) &&
		(slices.Contains(a.Aspects, "*") || slices.Contains(a.Aspects, d.place.aspect))
}

// stale lists the acceptances that no difference needed.
func (all acceptances) stale() []*acceptance {
	return slices.DeleteFunc(slices.Clone(all), func(a *acceptance) bool { return a.used })
}

package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// entry is what the note of a commit says about one Environment. A note is a list
// of entries, one for each Environment that runs the commit.
type entry struct {
	Environment string    `json:"environment"`
	Revision    string    `json:"revision"`
	Health      string    `json:"health"`
	Reason      string    `json:"reason,omitempty"`
	Message     string    `json:"message,omitempty"`
	By          string    `json:"supersededBy,omitempty"`
	Counts      *counts   `json:"counts,omitempty"`
	Problems    []problem `json:"problems,omitempty"`
	Time        string    `json:"time,omitempty"`
}

type counts struct {
	Healthy     int32 `json:"healthy"`
	Progressing int32 `json:"progressing"`
	Degraded    int32 `json:"degraded"`
	Suspended   int32 `json:"suspended"`
	Total       int32 `json:"total"`
}

type problem struct {
	Object  string `json:"object"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// entryOf says it all but the time.
func entryOf(env *v1alpha1.Environment, v verdict) entry {
	e := entry{
		Environment: env.Namespace + "/" + env.Name,
		Revision:    v.revision,
		Health:      v.health,
		Reason:      v.reason,
		Message:     v.message,
		By:          v.by,
	}
	h := env.Status.Health
	if v.by != "" || h == nil || env.Status.LastAppliedRevision != v.revision {
		return e
	}
	e.Counts = &counts{Healthy: h.Healthy, Progressing: h.Progressing, Degraded: h.Degraded, Suspended: h.Suspended, Total: h.Total}
	for _, p := range h.Problems {
		e.Problems = append(e.Problems, problem{Object: objectName(p.ObjectReference), State: p.State, Reason: p.Reason, Message: p.Message})
	}
	return e
}

func objectName(ref v1alpha1.ObjectReference) string {
	if ref.Namespace == "" {
		return ref.Kind + " " + ref.Name
	}
	return ref.Kind + " " + ref.Namespace + "/" + ref.Name
}

// digest names what an entry says, whenever it says it.
func (e entry) digest() (string, error) {
	e.Time = ""
	content, err := yaml.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// healthIn is what a note tells of an Environment; empty when it tells nothing.
func healthIn(note []byte, env *v1alpha1.Environment) string {
	var entries []entry
	if err := yaml.Unmarshal(note, &entries); err != nil {
		return ""
	}
	for _, e := range entries {
		if e.Environment == env.Namespace+"/"+env.Name {
			return e.Health
		}
	}
	return ""
}

// latest joins lists of entries that stand one after the other: of each
// Environment, the last entry counts. What is not ours to read is left out.
func latest(text []byte) []byte {
	var entries, kept []entry
	if err := yaml.Unmarshal(text, &entries); err != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, e := range slices.Backward(entries) {
		if !seen[e.Environment] {
			seen[e.Environment] = true
			kept = append([]entry{e}, kept...)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	content, err := yaml.Marshal(kept)
	if err != nil {
		return nil
	}
	return content
}

// merge puts an entry into a note, in place of the Environment's former one. A
// note that is not ours to read is written anew.
func merge(note []byte, e entry, now time.Time) ([]byte, error) {
	e.Time = now.UTC().Format(time.RFC3339)
	var entries []entry
	if err := yaml.Unmarshal(note, &entries); err != nil {
		entries = nil
	}
	replaced := false
	for i := range entries {
		if entries[i].Environment == e.Environment {
			entries[i], replaced = e, true
		}
	}
	if !replaced {
		entries = append(entries, e)
	}
	content, err := yaml.Marshal(entries)
	if err != nil {
		return nil, fmt.Errorf("write report: %w", err)
	}
	return content, nil
}

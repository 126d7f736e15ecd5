package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

func summarize(changes []Change) v1alpha1.PlanSummary {
	var s v1alpha1.PlanSummary
	counters := map[Verdict]*int32{
		Create: &s.Create, Live: &s.Live, Restart: &s.Restart, Replace: &s.Replace,
		Destroy: &s.Destroy, Retain: &s.Retain, None: &s.None,
	}
	for _, c := range changes {
		*counters[c.Verdict]++
	}
	return s
}

// digest names what the plan does. Objects that stay as they are do not count.
func digest(p Plan) string {
	acting := []Change{}
	for _, c := range p.Changes {
		if c.Verdict != None {
			acting = append(acting, c)
		}
	}
	return hash(struct {
		Changes  []Change
		Problems []Problem
	}{acting, p.Problems})
}

// hash names a value by its JSON, whose object keys encoding/json sorts. Values
// come from parsed JSON or YAML, which always marshal.
func hash(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		content = []byte(err.Error())
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

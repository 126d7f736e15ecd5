package receiver

import (
	"encoding/json"
	"net/http"
	"slices"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// eventHeaders are where senders name the event.
var eventHeaders = map[v1alpha1.ReceiverType]string{
	v1alpha1.GitHubReceiver:    "X-GitHub-Event",
	v1alpha1.GitLabReceiver:    "X-Gitlab-Event",
	v1alpha1.GiteaReceiver:     "X-Gitea-Event",
	v1alpha1.ForgejoReceiver:   "X-Forgejo-Event",
	v1alpha1.BitbucketReceiver: "X-Event-Key",
}

// eventOf is the name of an event, as its sender has it; empty when it has none.
func eventOf(kind v1alpha1.ReceiverType, header http.Header, body []byte) string {
	if kind == v1alpha1.HarborReceiver {
		var said struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(body, &said); err != nil {
			return ""
		}
		return said.Type
	}
	return header.Get(eventHeaders[kind])
}

// counts tells whether a receiver acts on an event. One without a name counts only
// where the sender never gives any.
func counts(r *v1alpha1.Receiver, event string) bool {
	_, named := eventHeaders[r.Spec.Type]
	named = named || r.Spec.Type == v1alpha1.HarborReceiver
	return len(r.Spec.Events) == 0 || !named || slices.Contains(r.Spec.Events, event)
}

package instance

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// note remembers that an instance which is being prepared needs a base image.
func (r *Reconciler) note(uid types.UID, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.prepared[uid], digest) {
		r.prepared[uid] = append(r.prepared[uid], digest)
	}
}

func (r *Reconciler) noted(uid types.UID) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.prepared[uid])
}

// UsedBases are the digests that instances need, running, ended or being prepared.
func (r *Reconciler) UsedBases() map[string]bool {
	used := r.Runtime.UsedBases()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, digests := range r.prepared {
		for _, digest := range digests {
			used[digest] = true
		}
	}
	return used
}

// splitAuth splits user:password.
func splitAuth(auth []byte) (username, password string) {
	username, password, _ = strings.Cut(string(auth), ":")
	return username, password
}

package flow

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// catchUp is how soon an object is read again that is outdated.
const catchUp = 10 * time.Millisecond

// replaced remembers, for each object, the version that the last status was written over. A cache that still has it shows
// the past, and a run on it that ends as the one before last did would see nothing to write: its status would be lost until
// something else wakes the object.
type replaced struct{ versions sync.Map }

func (r *replaced) by(obj client.Object, before string) {
	if obj.GetResourceVersion() != before {
		r.versions.Store(client.ObjectKeyFromObject(obj), before)
	}
}

func (r *replaced) has(obj client.Object) bool {
	version, ok := r.versions.Load(client.ObjectKeyFromObject(obj))
	return ok && version == obj.GetResourceVersion()
}

func (r *replaced) forget(key types.NamespacedName) { r.versions.Delete(key) }

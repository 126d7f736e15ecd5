package environment

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/environment/health"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// scope is what one run observed and did. Only Report writes the Environment.
type scope struct {
	env *v1alpha1.Environment
	// now is when the run began.
	now time.Time
	// memory of this Environment's last run.
	findings *findings

	// expressions of the spec; none before accept sets them.
	expressions *expressions
	// account that client acts as. Set by accept.
	account types.NamespacedName
	// client acts as the ServiceAccount. Set by accept.
	client client.Client
	// tree of the source. Set by observe.
	tree Tree
	// taken is the artifact of a Flux source that tree is. Set by observe.
	taken *v1alpha1.SourceArtifact
	// stale says why tree is not the newest that a Flux source has; nil when it is, or
	// when nobody can tell. Set by observe.
	stale *flow.Outcome
	// desired objects. Set by render.
	desired rendered
	// live objects by key, as they are after the last write. Set by gather, kept
	// current by apply.
	live map[plan.Key]*unstructured.Unstructured
	// plan of the run. Set by plan.
	plan *plan.Plan
	// inventory and tombstones as they are to be recorded. Set when the scope is
	// made, changed by record, apply and prune.
	inventory  map[plan.Key]v1alpha1.InventoryEntry
	tombstones map[plan.Key]v1alpha1.Tombstone
	// applied says that all of the revision is in the cluster. Set by apply.
	applied bool
	// judged objects and their health: the desired ones, set by judge, or those of
	// the inventory where a run does not come that far, set by survey.
	judged []v1alpha1.ObjectReference
	health map[plan.Key]health.Health
	// retrying says that a failure is retried after spec.retryInterval.
	retrying bool
	// suspended says that the spec asks for nothing to be done.
	suspended bool
}

func (r *reconciler) newScope(env *v1alpha1.Environment) *scope {
	s := &scope{
		env:         env,
		expressions: &expressions{},
		now:         r.clock.Now(),
		findings:    r.memory.recall(client.ObjectKeyFromObject(env)),
		inventory:   make(map[plan.Key]v1alpha1.InventoryEntry, len(env.Status.Inventory)),
		tombstones:  make(map[plan.Key]v1alpha1.Tombstone, len(env.Status.Tombstones)),
	}
	for _, e := range env.Status.Inventory {
		s.inventory[plan.KeyOfReference(e.ObjectReference)] = e
	}
	for _, t := range env.Status.Tombstones {
		s.tombstones[plan.KeyOfReference(t.ObjectReference)] = t
	}
	return s
}

// own records an object in the inventory. An empty UID says that it is about to
// be made.
func (s *scope) own(ref v1alpha1.ObjectReference, uid types.UID) {
	key := plan.KeyOfReference(ref)
	s.inventory[key] = v1alpha1.InventoryEntry{ObjectReference: ref, UID: uid}
	delete(s.tombstones, key)
}

func (s *scope) disown(key plan.Key) { delete(s.inventory, key) }

func (s *scope) see(live []*unstructured.Unstructured) {
	s.live = make(map[plan.Key]*unstructured.Unstructured, len(live))
	for _, u := range live {
		s.live[plan.KeyOf(u)] = u
	}
}

// asked tells whether somebody asked for this run by annotation.
func (s *scope) asked() bool {
	value := s.env.Annotations[v1alpha1.RequestedAtAnnotation]
	return value != "" && value != s.env.Status.LastHandledReconcileAt
}

func (s *scope) liveList() []*unstructured.Unstructured {
	return slices.Collect(maps.Values(s.live))
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// EnvironmentStatus is what was observed.
type EnvironmentStatus struct {
	// ObservedGeneration of the spec that the status speaks about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Planned, Applied, Healthy, Reported, and Reconciling or
	// Stalled while they hold.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// LastAttemptedRevision is the revision that was rendered last, whether or not
	// it could be applied.
	// +optional
	LastAttemptedRevision string `json:"lastAttemptedRevision,omitempty"`
	// LastAppliedRevision is the revision that was applied in full last.
	// +optional
	LastAppliedRevision string `json:"lastAppliedRevision,omitempty"`
	// SourceArtifact is what was taken over from a source of Flux's.
	// +optional
	SourceArtifact *SourceArtifact `json:"sourceArtifact,omitempty"`
	// LastHandledReconcileAt is the value of the requestedAt annotation that was
	// acted on last.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
	// Plan that was made last and held a change.
	// +optional
	Plan *PlanStatus `json:"plan,omitempty"`
	// Inventory lists the objects that this Environment applied and keeps.
	// +optional
	Inventory []InventoryEntry `json:"inventory,omitempty"`
	// Health of the objects in the inventory and of those in spec.healthChecks.
	// +optional
	Health *HealthStatus `json:"health,omitempty"`
	// Tombstones list the objects that left the source and were kept. One that
	// comes back to the source is adopted again as it is.
	// +optional
	Tombstones []Tombstone `json:"tombstones,omitempty"`
	// History of the last revisions, newest first: five, and those before them whose
	// commit has no note yet.
	// +kubebuilder:validation:MaxItems=20
	// +optional
	History []HistoryEntry `json:"history,omitempty"`
	// Report is what was written to the source last.
	// +optional
	Report *ReportStatus `json:"report,omitempty"`
}

// ObjectReference names one object of the cluster.
type ObjectReference struct {
	// Group of the object; empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`
	// Version the object was applied in.
	// +optional
	Version string `json:"version,omitempty"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Namespace of the object; empty for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
}

// InventoryEntry is one object that was applied.
type InventoryEntry struct {
	ObjectReference `json:",inline"`
	// UID of the object, which tells it from a later one of the same name.
	// +optional
	UID types.UID `json:"uid,omitempty"`
}

// Tombstone is an object that left the source and was kept.
type Tombstone struct {
	ObjectReference `json:",inline"`
	// UID of the object. Listed in spec.prune.approved, the object is deleted.
	UID types.UID `json:"uid"`
	// ReleasedAt is when it left the inventory.
	ReleasedAt metav1.Time `json:"releasedAt"`
	// Revision that no longer had it.
	Revision string `json:"revision"`
}

// PlanStatus is the plan that was made last.
type PlanStatus struct {
	// Revision that the plan leads to.
	Revision string `json:"revision"`
	// Digest names the plan: equal digests say equal changes.
	Digest string `json:"digest"`
	// Summary counts the changes by verdict.
	Summary PlanSummary `json:"summary"`
	// Changes, without those of the verdict None; at most 50.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Changes []PlanChange `json:"changes,omitempty"`
	// Omitted is how many changes did not fit.
	// +optional
	Omitted int32 `json:"omitted,omitempty"`
}

// PlanSummary counts changes by verdict.
type PlanSummary struct {
	// Create counts objects that are made.
	// +optional
	Create int32 `json:"create,omitempty"`
	// Live counts changes that take effect at once.
	// +optional
	Live int32 `json:"live,omitempty"`
	// Restart counts changes that take effect at a restart of the machine.
	// +optional
	Restart int32 `json:"restart,omitempty"`
	// Replace counts objects that are deleted and made again.
	// +optional
	Replace int32 `json:"replace,omitempty"`
	// Destroy counts objects that are deleted.
	// +optional
	Destroy int32 `json:"destroy,omitempty"`
	// Retain counts objects that left the source and are kept.
	// +optional
	Retain int32 `json:"retain,omitempty"`
	// None counts objects that stay as they are.
	// +optional
	None int32 `json:"none,omitempty"`
}

// PlanChange is one change of a plan.
type PlanChange struct {
	ObjectReference `json:",inline"`
	// UID of the live object, for approval.
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// Verdict is what the change does to the object.
	// +kubebuilder:validation:Enum=Create;Live;Restart;Replace;Destroy;Retain
	Verdict string `json:"verdict"`
	// Fields that change; at most 10, without their values.
	// +kubebuilder:validation:MaxItems=10
	// +optional
	Fields []string `json:"fields,omitempty"`
	// Message says why, where that is not plain.
	// +optional
	Message string `json:"message,omitempty"`
}

// HealthStatus counts the objects of the inventory by health.
type HealthStatus struct {
	// Healthy objects are as Git wants them.
	// +optional
	Healthy int32 `json:"healthy,omitempty"`
	// Progressing objects are on their way.
	// +optional
	Progressing int32 `json:"progressing,omitempty"`
	// Degraded objects need somebody to look at them.
	// +optional
	Degraded int32 `json:"degraded,omitempty"`
	// Suspended objects wait for somebody on purpose.
	// +optional
	Suspended int32 `json:"suspended,omitempty"`
	// Total of the objects.
	// +optional
	Total int32 `json:"total,omitempty"`
	// Problems are the first objects that are not healthy, the worst first.
	// +kubebuilder:validation:MaxItems=10
	// +optional
	Problems []HealthProblem `json:"problems,omitempty"`
}

// HealthProblem is one object that is not healthy.
type HealthProblem struct {
	ObjectReference `json:",inline"`
	// State of the object.
	// +kubebuilder:validation:Enum=Progressing;Degraded;Suspended
	State string `json:"state"`
	// Reason as the object gives it.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message for people.
	// +optional
	Message string `json:"message,omitempty"`
}

// HistoryEntry is one revision that was attempted.
type HistoryEntry struct {
	// Revision that was attempted.
	Revision string `json:"revision"`
	// FirstAttempted is when it was seen first.
	FirstAttempted metav1.Time `json:"firstAttempted"`
	// Applied is when it was applied in full.
	// +optional
	Applied *metav1.Time `json:"applied,omitempty"`
	// Outcome is the reason of the Ready condition that the revision reached last.
	// +optional
	Outcome string `json:"outcome,omitempty"`
	// PlanDigest of its first plan with a change.
	// +optional
	PlanDigest string `json:"planDigest,omitempty"`
	// Reported is the health that the note of its commit tells; empty while there is
	// no note of this Environment on it.
	// +optional
	Reported string `json:"reported,omitempty"`
}

// ReportStatus is what was written to the source last.
type ReportStatus struct {
	// Revision that was reported on.
	Revision string `json:"revision"`
	// Health that was reported: Healthy, AwaitingRestart, Suspended, Degraded,
	// Failed or Stalled. Superseded stands in the history only.
	Health string `json:"health"`
	// Digest of what the report said, without its time.
	Digest string `json:"digest"`
	// Time of the report.
	Time metav1.Time `json:"time"`
}

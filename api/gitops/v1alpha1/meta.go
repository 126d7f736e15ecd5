package v1alpha1

// Labels and annotations that Slipway reads or writes.
const (
	// EnvironmentLabel names the Environment that applied an object.
	EnvironmentLabel = Group + "/environment"
	// EnvironmentNamespaceLabel names the namespace of that Environment.
	EnvironmentNamespaceLabel = Group + "/environment-namespace"
	// ReleasedLabel marks an object that its Environment no longer desires but
	// kept because it holds data. The same or another Environment may adopt it.
	ReleasedLabel = Group + "/released"
	// RequestedAtAnnotation, when its value changes, asks for a reconcile at once.
	RequestedAtAnnotation = "reconcile." + Group + "/requestedAt"
	// PruneAnnotation with the value PruneDisabled keeps an object when it leaves
	// the source.
	PruneAnnotation = Group + "/prune"
	// PruneDisabled is the value of PruneAnnotation that keeps an object.
	PruneDisabled = "Disabled"
)

// FieldManager is the one field manager that applies rendered objects.
const FieldManager = "slipway"

// Finalizer holds an Environment until its deletion policy was carried out.
const Finalizer = Group + "/environment"

// LocalObjectReference names an object in the namespace of who refers to it.
type LocalObjectReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// EnvironmentSpec says which path of which source runs where, and what may
// happen to machines and data on the way.
type EnvironmentSpec struct {
	// SourceRef names the source in the same namespace.
	SourceRef SourceReference `json:"sourceRef"`
	// Path in the source of the kustomization or of plain manifests; its root when
	// empty.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Path string `json:"path,omitempty"`
	// TargetNamespace is set on every namespaced object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`
	// NamePrefix is put before every object's name, and before references to it.
	// +kubebuilder:validation:MaxLength=200
	// +optional
	NamePrefix string `json:"namePrefix,omitempty"`
	// NameSuffix is put after every object's name, and after references to it.
	// +kubebuilder:validation:MaxLength=200
	// +optional
	NameSuffix string `json:"nameSuffix,omitempty"`
	// Images replaces names, tags and digests of images.
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Images []Image `json:"images,omitempty"`
	// Patches are strategic merge or JSON 6902 patches on the rendered objects.
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Patches []Patch `json:"patches,omitempty"`
	// Components lists kustomize components, relative to path.
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Components []string `json:"components,omitempty"`
	// CommonMetadata is put on every object.
	// +optional
	CommonMetadata *CommonMetadata `json:"commonMetadata,omitempty"`
	// Substitute replaces ${name} in the rendered objects.
	// +optional
	Substitute map[string]string `json:"substitute,omitempty"`
	// SubstituteFrom takes substitutions from ConfigMaps and Secrets.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	SubstituteFrom []SubstituteReference `json:"substituteFrom,omitempty"`
	// Decryption of files in the source.
	// +optional
	Decryption *Decryption `json:"decryption,omitempty"`
	// ServiceAccountName names the ServiceAccount, in the Environment's namespace,
	// that objects are read and applied as. It is required unless the controller
	// has a default.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// DependsOn lists Environments that must be ready before a new revision, or a
	// new spec, is applied. What was applied goes on, whatever becomes of them.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// Interval between runs that nothing asked for. Changes of the source and of
	// objects are watched; this is the safety net.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +kubebuilder:default="10m"
	// +optional
	Interval metav1.Duration `json:"interval,omitzero"`
	// RetryInterval between attempts after a failure; exponential backoff when empty.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	RetryInterval *metav1.Duration `json:"retryInterval,omitempty"`
	// Timeout of one attempt to render and apply. Health has no timeout: what
	// progresses is not late, and what stands still is reported as degraded.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +kubebuilder:default="5m"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// HealthChecks lists further objects whose health counts. The ServiceAccount
	// needs get, list and watch on them.
	// +kubebuilder:validation:MaxItems=256
	// +optional
	HealthChecks []HealthCheck `json:"healthChecks,omitempty"`
	// HealthCheckExprs gives kinds a health of their own, in CEL. The fields of the
	// object are the variables.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	HealthCheckExprs []HealthCheckExpr `json:"healthCheckExprs,omitempty"`
	// Prune says what happens to objects that leave the source.
	// +kubebuilder:default={}
	// +optional
	Prune Prune `json:"prune,omitempty"`
	// Disruption says what may happen to running machines.
	// +kubebuilder:default={}
	// +optional
	Disruption Disruption `json:"disruption,omitempty"`
	// DeletionPolicy says what happens to the objects when the Environment is
	// deleted.
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// Suspend stops rendering, applying and pruning.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// FluxAPIVersion of Flux's sources.
const FluxAPIVersion = "source.toolkit.fluxcd.io/v1"

// ExternalArtifactKind is a source of Flux's API that anybody's controller may keep current.
const ExternalArtifactKind = "ExternalArtifact"

// SourceReference names a source in the same namespace.
// +kubebuilder:validation:XValidation:rule="self.kind != 'ExternalArtifact' || (has(self.apiVersion) && self.apiVersion == 'source.toolkit.fluxcd.io/v1')",message="an ExternalArtifact needs apiVersion: source.toolkit.fluxcd.io/v1"
type SourceReference struct {
	// APIVersion of the source; gitops.slipway.dev/v1alpha1 when empty. With
	// source.toolkit.fluxcd.io/v1 it is one of Flux's.
	// +kubebuilder:validation:Enum="";gitops.slipway.dev/v1alpha1;source.toolkit.fluxcd.io/v1
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the source.
	// +kubebuilder:validation:Enum=GitRepository;OCIRepository;ExternalArtifact
	Kind string `json:"kind"`
	// Name of the source.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// IsFlux tells whether the source is of Flux's API, so that another controller keeps it current.
func (r SourceReference) IsFlux() bool { return r.APIVersion == FluxAPIVersion }

// Is tells whether the source is of one of our own kinds.
func (r SourceReference) Is(kind string) bool { return !r.IsFlux() && r.Kind == kind }

// Image replaces an image's name, tag or digest.
// +kubebuilder:validation:XValidation:rule="has(self.newName) || has(self.newTag) || has(self.digest)",message="one of newName, newTag and digest is needed"
// +kubebuilder:validation:XValidation:rule="!(has(self.newTag) && has(self.digest))",message="newTag and digest exclude each other"
type Image struct {
	// Name of the image as the manifests have it, without a tag.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// NewName of the image.
	// +optional
	NewName string `json:"newName,omitempty"`
	// NewTag of the image.
	// +optional
	NewTag string `json:"newTag,omitempty"`
	// Digest of the image.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// Patch changes rendered objects.
type Patch struct {
	// Patch is a strategic merge patch or a list of JSON 6902 operations, in YAML.
	// +kubebuilder:validation:MinLength=1
	Patch string `json:"patch"`
	// Target chooses the objects; for a strategic merge patch it may be left out.
	// +optional
	Target *Selector `json:"target,omitempty"`
}

// Selector chooses rendered objects; names are regular expressions.
type Selector struct {
	// Group of the objects.
	// +optional
	Group string `json:"group,omitempty"`
	// Version of the objects.
	// +optional
	Version string `json:"version,omitempty"`
	// Kind of the objects.
	// +optional
	Kind string `json:"kind,omitempty"`
	// Name of the objects.
	// +optional
	Name string `json:"name,omitempty"`
	// Namespace of the objects.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// LabelSelector of the objects.
	// +optional
	LabelSelector string `json:"labelSelector,omitempty"`
	// AnnotationSelector of the objects.
	// +optional
	AnnotationSelector string `json:"annotationSelector,omitempty"`
}

// CommonMetadata is put on every object.
type CommonMetadata struct {
	// Labels to add.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations to add.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// SubstituteReference names a ConfigMap or Secret with substitutions.
type SubstituteReference struct {
	// Kind of the object.
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind string `json:"kind"`
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Optional lets the object be missing.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// Decryption of files in the source.
type Decryption struct {
	// Provider of the decryption.
	// +kubebuilder:validation:Enum=sops
	Provider string `json:"provider"`
	// SecretRef names the Secret with the age and PGP keys.
	SecretRef LocalObjectReference `json:"secretRef"`
}

// Dependency names an Environment in the same namespace that must be ready first.
type Dependency struct {
	// Name of the Environment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// ReadyExpr is a CEL expression that decides when it is ready, in place of its
	// Ready condition. The variable dep is the dependency, self this Environment.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ReadyExpr string `json:"readyExpr,omitempty"`
}

// HealthCheck names an object whose health counts.
type HealthCheck struct {
	// APIVersion of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Namespace of the object; the target namespace when empty, or else that of the
	// Environment.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// HealthCheckExpr gives a kind a health of its own.
type HealthCheckExpr struct {
	// APIVersion of the kind; its version does not matter.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	APIVersion string `json:"apiVersion"`
	// Kind that is judged.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Current is true when the object is healthy. It is asked last.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Current string `json:"current"`
	// InProgress is true while the object progresses. It is asked first.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	InProgress string `json:"inProgress,omitempty"`
	// Failed is true when the object is degraded.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Failed string `json:"failed,omitempty"`
}

// PrunePolicy says what happens to objects that leave the source.
// +kubebuilder:validation:Enum=Retain;Confirm;Delete
type PrunePolicy string

// The prune policies. None of them deletes data without its UID in
// spec.prune.approved.
const (
	// PruneRetain deletes objects without data and keeps those with data as
	// tombstones.
	PruneRetain PrunePolicy = "Retain"
	// PruneConfirm deletes nothing before its UID is approved.
	PruneConfirm PrunePolicy = "Confirm"
	// PruneDelete deletes objects without data, and waits for the approval of those
	// with data.
	PruneDelete PrunePolicy = "Delete"
)

// Prune says what happens to objects that leave the source.
type Prune struct {
	// Policy for objects that leave the source.
	// +kubebuilder:default=Retain
	// +optional
	Policy PrunePolicy `json:"policy,omitempty"`
	// Approved lists the UIDs of objects that may be destroyed.
	// +kubebuilder:validation:MaxItems=1024
	// +listType=set
	// +optional
	Approved []types.UID `json:"approved,omitempty"`
}

// RestartPolicy says when changes that need a restart are applied.
// +kubebuilder:validation:Enum=Never;Window;Immediate
type RestartPolicy string

// The restart policies.
const (
	// RestartNever stops a revision that would restart a machine.
	RestartNever RestartPolicy = "Never"
	// RestartWindow applies it within the windows.
	RestartWindow RestartPolicy = "Window"
	// RestartImmediate applies it at once. The machine's own
	// disruptions.restartApprovalMode decides when the guest restarts.
	RestartImmediate RestartPolicy = "Immediate"
)

// PreChange is what is done before a change that disrupts.
// +kubebuilder:validation:Enum=None;Snapshot
type PreChange string

// What can be done before a change that disrupts.
const (
	PreChangeNone     PreChange = "None"
	PreChangeSnapshot PreChange = "Snapshot"
)

// Disruption says what may happen to running machines.
// +kubebuilder:validation:XValidation:rule="!has(self.windows) || self.windows.size() == 0 || (has(self.restart) && self.restart == 'Window')",message="windows need restart: Window"
// +kubebuilder:validation:XValidation:rule="!has(self.restart) || self.restart != 'Window' || (has(self.windows) && self.windows.size() > 0)",message="restart: Window needs windows"
type Disruption struct {
	// Restart says when changes that need a restart are applied.
	// +kubebuilder:default=Immediate
	// +optional
	Restart RestartPolicy `json:"restart,omitempty"`
	// Windows in which changes that need a restart are applied.
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Windows []Window `json:"windows,omitempty"`
	// PreChange is what is done before a change that disrupts.
	// +kubebuilder:default=None
	// +optional
	PreChange PreChange `json:"preChange,omitempty"`
}

// Window is a span of time that repeats.
type Window struct {
	// Start as a cron expression of five fields.
	// +kubebuilder:validation:MinLength=1
	Start string `json:"start"`
	// Duration of the window.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(m|h))+$"
	Duration metav1.Duration `json:"duration"`
	// TimeZone of start, as the IANA database names it; UTC when empty.
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
}

// DeletionPolicy says what happens to the objects of a deleted Environment.
// +kubebuilder:validation:Enum=Retain;MirrorPrune;Delete;WaitForTermination;Orphan
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionRetain deletes objects without data and leaves those with data.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionMirrorPrune does what spec.prune says for each object.
	DeletionMirrorPrune DeletionPolicy = "MirrorPrune"
	// DeletionDelete deletes everything, data included.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionWaitForTermination does as Delete and waits until all is gone.
	DeletionWaitForTermination DeletionPolicy = "WaitForTermination"
	// DeletionOrphan leaves everything.
	DeletionOrphan DeletionPolicy = "Orphan"
)

// Environment is a place where the virtual machines of one source path run.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=env,categories=slipway
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name must be no longer than 63 characters: it becomes a label"
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="STATUS",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="REVISION",type=string,JSONPath=`.status.lastAppliedRevision`
// +kubebuilder:printcolumn:name="HEALTHY",type=integer,priority=1,JSONPath=`.status.health.healthy`
// +kubebuilder:printcolumn:name="TOTAL",type=integer,priority=1,JSONPath=`.status.health.total`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type Environment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EnvironmentSpec   `json:"spec"`
	Status EnvironmentStatus `json:"status,omitempty"`
}

// EnvironmentList is a list of Environment.
//
// +kubebuilder:object:root=true
type EnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Environment `json:"items"`
}

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReceiverType says who sends, and how it proves that it is entitled to.
// +kubebuilder:validation:Enum=generic;generic-hmac;github;gitlab;gitea;forgejo;bitbucket;harbor;dockerhub
type ReceiverType string

// The types of receivers.
const (
	// GenericReceiver is anybody who knows the path.
	GenericReceiver ReceiverType = "generic"
	// GenericHMACReceiver signs the body in the header X-Signature.
	GenericHMACReceiver ReceiverType = "generic-hmac"
	// GitHubReceiver signs the body in X-Hub-Signature-256.
	GitHubReceiver ReceiverType = "github"
	// GitLabReceiver sends the token in X-Gitlab-Token.
	GitLabReceiver ReceiverType = "gitlab"
	// GiteaReceiver signs the body in X-Gitea-Signature.
	GiteaReceiver ReceiverType = "gitea"
	// ForgejoReceiver signs the body in X-Forgejo-Signature.
	ForgejoReceiver ReceiverType = "forgejo"
	// BitbucketReceiver signs the body in X-Hub-Signature.
	BitbucketReceiver ReceiverType = "bitbucket"
	// HarborReceiver sends the token in Authorization.
	HarborReceiver ReceiverType = "harbor"
	// DockerHubReceiver is Docker Hub, which can only know the path.
	DockerHubReceiver ReceiverType = "dockerhub"
)

// ReceiverSpec says which pushes wake which sources.
type ReceiverSpec struct {
	// Type of the sender.
	Type ReceiverType `json:"type"`
	// Events that count, by the names that the sender gives them, such as push;
	// empty means all.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Events []string `json:"events,omitempty"`
	// Resources that are looked at when a push is told.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Resources []ReceiverResource `json:"resources"`
	// ResourceFilter is an expression in CEL that chooses among the resources: res is
	// the source's metadata, req the body of the request, parsed as JSON.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ResourceFilter string `json:"resourceFilter,omitempty"`
	// SecretRef names the Secret whose key token is what the sender knows.
	SecretRef LocalObjectReference `json:"secretRef"`
	// Interval between looks at the Secret.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +kubebuilder:default="10m"
	// +optional
	Interval metav1.Duration `json:"interval,omitzero"`
	// Suspend answers the sender as if the receiver were not there.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ReceiverResource is a source, or some sources, in the receiver's namespace.
// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.name == '*'",message="matchLabels needs the name *"
type ReceiverResource struct {
	// APIVersion of the source; gitops.slipway.dev/v1alpha1 when empty.
	// +kubebuilder:validation:Enum=gitops.slipway.dev/v1alpha1
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the source.
	// +kubebuilder:validation:Enum=GitRepository;OCIRepository
	Kind string `json:"kind"`
	// Name of the source; * is all of the kind.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// MatchLabels chooses among all.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

// ReceiverStatus is what was observed.
type ReceiverStatus struct {
	// ObservedGeneration of the spec that the status speaks about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, and Reconciling or Stalled while they hold.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// WebhookPath is the path to send to. It cannot be guessed; whoever may read it
	// may send to receivers that have no other proof.
	// +optional
	WebhookPath string `json:"webhookPath,omitempty"`
	// LastHandledReconcileAt is the value of the requestedAt annotation that was
	// acted on last.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// Receiver lets a forge or a registry tell of a push, so that sources are looked
// at without waiting for their interval.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=slipway
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="STATUS",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="TYPE",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type Receiver struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ReceiverSpec   `json:"spec"`
	Status ReceiverStatus `json:"status,omitempty"`
}

// ReceiverList is a list of Receiver.
//
// +kubebuilder:object:root=true
type ReceiverList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Receiver `json:"items"`
}

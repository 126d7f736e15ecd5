package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GitRepositorySpec says which commit of which repository is wanted.
type GitRepositorySpec struct {
	// URL of the repository: https, ssh, or http for a server on the same machine.
	// +kubebuilder:validation:Pattern="^(http|https|ssh)://.*$"
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
	// Reference to follow. Of several fields commit wins over name, name over
	// semver, semver over tag and tag over branch. Empty follows the remote's HEAD.
	// +optional
	Reference *GitReference `json:"ref,omitempty"`
	// Interval between looks at the remote. A look costs one request; nothing is
	// fetched while the reference stands still.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +kubebuilder:default="1m"
	// +optional
	Interval metav1.Duration `json:"interval,omitzero"`
	// Timeout of one Git operation.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m))+$"
	// +kubebuilder:default="60s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// Provider says how to log in: generic takes what the Secret holds, github wants
	// the GitHub App of the Secret.
	// +kubebuilder:validation:Enum=generic;github
	// +optional
	Provider string `json:"provider,omitempty"`
	// SecretRef names the Secret with the credentials: username and password, or
	// bearerToken, for https; identity, known_hosts and optionally password for
	// ssh; githubAppID, githubAppInstallationID, githubAppPrivateKey and optionally
	// githubAppBaseURL for a GitHub App; ca.crt, tls.crt and tls.key for the
	// connection.
	// +optional
	SecretRef *LocalObjectReference `json:"secretRef,omitempty"`
	// ProxySecretRef names the Secret with the proxy: its address (http, https or
	// socks5) and optionally username and password.
	// +optional
	ProxySecretRef *LocalObjectReference `json:"proxySecretRef,omitempty"`
	// Verification of signatures.
	// +optional
	Verification *GitVerification `json:"verify,omitempty"`
	// Ignore lists files to leave out, in the format of .gitignore, in addition to
	// those that are always left out.
	// +optional
	Ignore *string `json:"ignore,omitempty"`
	// SparseCheckout lists the directories to fetch; empty fetches all. Files outside
	// of them are not even transferred where the server can leave them out.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +optional
	SparseCheckout []string `json:"sparseCheckout,omitempty"`
	// RecurseSubmodules fetches submodules too: those on the same server, by the same
	// protocol, four deep at most.
	// +optional
	RecurseSubmodules bool `json:"recurseSubmodules,omitempty"`
	// Suspend stops looking at the remote; the artifact that is there stays in use.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// GitReference chooses a commit.
type GitReference struct {
	// Branch whose head is wanted.
	// +optional
	Branch string `json:"branch,omitempty"`
	// Tag that is wanted.
	// +optional
	Tag string `json:"tag,omitempty"`
	// SemVer range; the highest tag within it is wanted.
	// +optional
	SemVer string `json:"semver,omitempty"`
	// Name of a reference in full, such as refs/pull/420/head.
	// +kubebuilder:validation:Pattern="^refs/.+$"
	// +optional
	Name string `json:"name,omitempty"`
	// Commit as 40 hexadecimal digits.
	// +kubebuilder:validation:Pattern="^[a-f0-9]{40}$"
	// +optional
	Commit string `json:"commit,omitempty"`
}

// GitVerificationMode says which object's signature is verified.
// +kubebuilder:validation:Enum=HEAD;Tag;TagAndHEAD
type GitVerificationMode string

// The verification modes.
const (
	VerifyHead       GitVerificationMode = "HEAD"
	VerifyTag        GitVerificationMode = "Tag"
	VerifyTagAndHead GitVerificationMode = "TagAndHEAD"
)

// GitVerification asks for signatures by known keys.
type GitVerification struct {
	// Mode says whether the commit, the tag or both must be signed.
	// +kubebuilder:default=HEAD
	// +optional
	Mode GitVerificationMode `json:"mode,omitempty"`
	// SecretRef names the Secret with the public keys that are trusted, PGP or SSH,
	// under any names.
	SecretRef LocalObjectReference `json:"secretRef"`
}

// GitRepositoryStatus is what was observed.
type GitRepositoryStatus struct {
	// ObservedGeneration of the spec that the status speaks about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, SourceVerified when signatures are asked for, and
	// Reconciling or Stalled while they hold.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// SourceVerificationMode is how the artifact was verified; empty when it was not.
	// +optional
	SourceVerificationMode GitVerificationMode `json:"sourceVerificationMode,omitempty"`
	// Artifact that is current. It stays while the remote cannot be reached.
	// +optional
	Artifact *Artifact `json:"artifact,omitempty"`
	// LastHandledReconcileAt is the value of the requestedAt annotation that was
	// acted on last.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// GitRepository delivers one commit of a Git repository as an artifact.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=gitrepo,categories=slipway
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="STATUS",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="REVISION",type=string,JSONPath=`.status.artifact.revision`
// +kubebuilder:printcolumn:name="URL",type=string,priority=1,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type GitRepository struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GitRepositorySpec   `json:"spec"`
	Status GitRepositoryStatus `json:"status,omitempty"`
}

// GitRepositoryList is a list of GitRepository.
//
// +kubebuilder:object:root=true
type GitRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GitRepository `json:"items"`
}

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OCIRepositorySpec says which bundle of manifests is wanted from a registry.
type OCIRepositorySpec struct {
	// URL of the repository, without a tag: oci://registry.example/team/bundle.
	// +kubebuilder:validation:Pattern="^oci://.*$"
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
	// Reference to follow: digest wins over semver and semver over tag. Empty
	// follows the tag latest.
	// +optional
	Reference *OCIReference `json:"ref,omitempty"`
	// LayerSelector chooses the layer to use; the first one when empty.
	// +optional
	LayerSelector *OCILayerSelector `json:"layerSelector,omitempty"`
	// Interval between looks at the registry.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +kubebuilder:default="1m"
	// +optional
	Interval metav1.Duration `json:"interval,omitzero"`
	// Timeout of one registry operation.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m))+$"
	// +kubebuilder:default="60s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// SecretRef names the dockerconfigjson Secret with the credentials.
	// +optional
	SecretRef *LocalObjectReference `json:"secretRef,omitempty"`
	// ServiceAccountName names a ServiceAccount whose image pull secrets are used.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// CertSecretRef names the Secret with ca.crt, tls.crt and tls.key.
	// +optional
	CertSecretRef *LocalObjectReference `json:"certSecretRef,omitempty"`
	// ProxySecretRef names the Secret with the proxy's address and credentials.
	// +optional
	ProxySecretRef *LocalObjectReference `json:"proxySecretRef,omitempty"`
	// Insecure speaks plain HTTP to the registry.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
	// Verification of signatures.
	// +optional
	Verification *OCIVerification `json:"verify,omitempty"`
	// Ignore lists files to leave out, in the format of .gitignore.
	// +optional
	Ignore *string `json:"ignore,omitempty"`
	// Suspend stops looking at the registry; the artifact that is there stays in use.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// OCIReference chooses an artifact in a repository.
// +kubebuilder:validation:XValidation:rule="!has(self.semverFilter) || has(self.semver)",message="semverFilter needs semver"
type OCIReference struct {
	// Digest of the manifest.
	// +kubebuilder:validation:Pattern="^sha256:[a-f0-9]{64}$"
	// +optional
	Digest string `json:"digest,omitempty"`
	// SemVer range; the highest tag within it is wanted.
	// +optional
	SemVer string `json:"semver,omitempty"`
	// SemVerFilter is a regular expression that tags must match to be considered.
	// +optional
	SemVerFilter string `json:"semverFilter,omitempty"`
	// Tag that is wanted.
	// +optional
	Tag string `json:"tag,omitempty"`
}

// OCILayerOperation says what is done with a layer.
// +kubebuilder:validation:Enum=extract;copy
type OCILayerOperation string

// The layer operations.
const (
	// ExtractLayer unpacks the layer's archive.
	ExtractLayer OCILayerOperation = "extract"
	// CopyLayer takes the layer's files as they are, without ignore rules, and a
	// layer that is no archive as one file.
	CopyLayer OCILayerOperation = "copy"
)

// OCILayerSelector chooses one layer of an artifact.
type OCILayerSelector struct {
	// MediaType of the layer.
	// +optional
	MediaType string `json:"mediaType,omitempty"`
	// Operation on the layer.
	// +kubebuilder:default=extract
	// +optional
	Operation OCILayerOperation `json:"operation,omitempty"`
}

// OCIVerificationProvider is a system of signatures.
// +kubebuilder:validation:Enum=cosign;notation
type OCIVerificationProvider string

// The systems of signatures.
const (
	Cosign   OCIVerificationProvider = "cosign"
	Notation OCIVerificationProvider = "notation"
)

// OCIVerification asks for signatures by known keys or identities.
// +kubebuilder:validation:XValidation:rule="self.provider == 'cosign' || has(self.secretRef)",message="notation needs secretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.matchOIDCIdentity) || self.provider == 'cosign'",message="matchOIDCIdentity is for cosign only"
// +kubebuilder:validation:XValidation:rule="!has(self.trustedRootSecretRef) || self.provider == 'cosign'",message="trustedRootSecretRef is for cosign only"
type OCIVerification struct {
	// Provider of the signatures.
	// +kubebuilder:default=cosign
	// +optional
	Provider OCIVerificationProvider `json:"provider,omitempty"`
	// SecretRef names the Secret with cosign's public keys under names that end in
	// .pub, or with notation's trust policy under trustpolicy.json and certificates
	// under names that end in .crt or .pem.
	// +optional
	SecretRef *LocalObjectReference `json:"secretRef,omitempty"`
	// MatchOIDCIdentity lists the identities that keyless signatures are accepted
	// from.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	MatchOIDCIdentity []OIDCIdentityMatch `json:"matchOIDCIdentity,omitempty"`
	// TrustedRootSecretRef names the Secret with the authorities and logs that
	// keyless signatures are checked against, under trusted_root.json.
	// +optional
	TrustedRootSecretRef *LocalObjectReference `json:"trustedRootSecretRef,omitempty"`
}

// OIDCIdentityMatch accepts signatures by an identity.
type OIDCIdentityMatch struct {
	// Issuer is a regular expression for the issuer's URL.
	// +kubebuilder:validation:MinLength=1
	Issuer string `json:"issuer"`
	// Subject is a regular expression for the identity.
	// +kubebuilder:validation:MinLength=1
	Subject string `json:"subject"`
}

// OCIRepositoryStatus is what was observed.
type OCIRepositoryStatus struct {
	// ObservedGeneration of the spec that the status speaks about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, SourceVerified when signatures are asked for, and
	// Reconciling or Stalled while they hold.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Artifact that is current. It stays while the registry cannot be reached.
	// +optional
	Artifact *Artifact `json:"artifact,omitempty"`
	// LastHandledReconcileAt is the value of the requestedAt annotation that was
	// acted on last.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// OCIRepository delivers one bundle of manifests from a registry as an artifact.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ocirepo,categories=slipway
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="STATUS",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="REVISION",type=string,JSONPath=`.status.artifact.revision`
// +kubebuilder:printcolumn:name="URL",type=string,priority=1,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type OCIRepository struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   OCIRepositorySpec   `json:"spec"`
	Status OCIRepositoryStatus `json:"status,omitempty"`
}

// OCIRepositoryList is a list of OCIRepository.
//
// +kubebuilder:object:root=true
type OCIRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []OCIRepository `json:"items"`
}

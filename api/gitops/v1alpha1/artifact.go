package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Artifact is one immutable tree of files that a source delivered.
type Artifact struct {
	// Revision is what people call it: `main@sha1:<commit>` for a branch.
	Revision string `json:"revision"`
	// Digest names the content in the store: `sha256:<hex>`.
	// +kubebuilder:validation:Pattern="^sha256:[a-f0-9]{64}$"
	Digest string `json:"digest"`
	// LastUpdateTime is when this artifact became the current one.
	LastUpdateTime metav1.Time `json:"lastUpdateTime"`
	// Size of all files, in bytes.
	// +optional
	Size int64 `json:"size,omitempty"`
	// Metadata that came with the artifact: the annotations of a bundle's manifest.
	// +optional
	Metadata map[string]string `json:"metadata,omitempty"`
	// SelectionDigest names the fields of the spec that choose the content: the
	// same revision is fetched again when they change.
	// +optional
	SelectionDigest string `json:"selectionDigest,omitempty"`
}

// SourceArtifact is the artifact of a source that another controller keeps current, as it was taken over.
type SourceArtifact struct {
	Artifact `json:",inline"`
	// SourceRef names the source that it was taken from.
	SourceRef SourceReference `json:"sourceRef"`
	// ArchiveDigest is the digest of the archive that the source serves.
	ArchiveDigest string `json:"archiveDigest"`
}

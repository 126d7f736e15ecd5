package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterVirtualImage is a read-only disk image that every namespace may use; it is kept in DVCR.
// Its spec cannot change once the image is ready.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization-cluster},scope=Cluster,shortName={cvi},singular=clustervirtualimage
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="CDROM",type="boolean",JSONPath=".status.cdrom"
// +kubebuilder:printcolumn:name="Progress",type="string",JSONPath=".status.progress"
// +kubebuilder:printcolumn:name="StoredSize",type="string",JSONPath=".status.size.stored",priority=1
// +kubebuilder:printcolumn:name="UnpackedSize",type="string",JSONPath=".status.size.unpacked",priority=1
// +kubebuilder:printcolumn:name="Registry URL",type="string",JSONPath=".status.target.registryURL",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type ClusterVirtualImage struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ClusterVirtualImageSpec `json:"spec"`
	// +optional
	Status ClusterVirtualImageStatus `json:"status,omitzero"`
}

// ClusterVirtualImageList is a list of ClusterVirtualImage.
//
// +kubebuilder:object:root=true
type ClusterVirtualImageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterVirtualImage `json:"items"`
}

// ClusterVirtualImageSpec says where the image comes from.
type ClusterVirtualImageSpec struct {
	// DataSource of the content.
	DataSource ClusterVirtualImageDataSource `json:"dataSource"`
}

// ClusterVirtualImageDataSource is the origin of an image's content.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'HTTP' ? has(self.http) && !has(self.containerImage) && !has(self.objectRef) : true",message="type HTTP needs http, and neither containerImage nor objectRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'ContainerImage' ? has(self.containerImage) && !has(self.http) && !has(self.objectRef) : true",message="type ContainerImage needs containerImage, and neither http nor objectRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'ObjectRef' ? has(self.objectRef) && !has(self.http) && !has(self.containerImage) : true",message="type ObjectRef needs objectRef, and neither http nor containerImage"
type ClusterVirtualImageDataSource struct {
	// Type of the source; the field of the same name must be set, except for Upload.
	// +kubebuilder:validation:Enum=HTTP;ContainerImage;ObjectRef;Upload
	Type DataSourceType `json:"type"`
	// HTTP is a file on a web server.
	// +optional
	HTTP *HTTPSource `json:"http,omitempty"`
	// ContainerImage is an image in a registry that carries a disk file.
	// +optional
	ContainerImage *ClusterContainerImageSource `json:"containerImage,omitempty"`
	// ObjectRef is another object whose content is copied.
	// +optional
	ObjectRef *ClusterVirtualImageObjectRef `json:"objectRef,omitempty"`
}

// ClusterContainerImageSource is a container image that carries a disk file, as a cluster-wide object refers to it.
type ClusterContainerImageSource struct {
	// Image is the reference of the container image, by tag or digest.
	Image ContainerImageName `json:"image"`
	// CABundle holds PEM certificates to trust, beside the system's, when the registry is asked over TLS.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// ImagePullSecret names the credentials for the registry.
	// +optional
	ImagePullSecret ImagePullSecret `json:"imagePullSecret,omitzero"`
}

// ImagePullSecret names a Secret of type kubernetes.io/dockerconfigjson.
type ImagePullSecret struct {
	// Name of the Secret.
	// +optional
	Name string `json:"name,omitempty"`
	// Namespace of the Secret.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// ClusterVirtualImageObjectRef names the object that a ClusterVirtualImage copies.
//
// +kubebuilder:validation:XValidation:rule="self.kind == 'VirtualImage' || self.kind == 'VirtualDisk' || self.kind == 'VirtualDiskSnapshot' ? has(self.__namespace__) && size(self.__namespace__) > 0 : true",message="a VirtualImage, VirtualDisk or VirtualDiskSnapshot needs its namespace"
// +kubebuilder:validation:XValidation:rule="self.kind == 'VirtualImage' || self.kind == 'VirtualDisk' || self.kind == 'VirtualDiskSnapshot' ? has(self.__namespace__) && size(self.__namespace__) < 64 : true",message="a namespace has at most 63 characters"
type ClusterVirtualImageObjectRef struct {
	// Kind of the object.
	// +kubebuilder:validation:Enum=ClusterVirtualImage;VirtualImage;VirtualDisk;VirtualDiskSnapshot
	Kind ObjectRefKind `json:"kind"`
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Namespace of the object; needed unless the kind is cluster-wide.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// ClusterVirtualImageStatus is what was observed of the image.
type ClusterVirtualImageStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Provisioning;WaitForUserUpload;Ready;Failed;Terminating;ImageLost
	// +optional
	Phase ImagePhase `json:"phase,omitempty"`
	// Progress of filling the image, in percent.
	// +optional
	Progress string `json:"progress,omitempty"`
	// Format of the image: raw, qcow2, iso and so on.
	// +optional
	Format string `json:"format,omitempty"`
	// CDROM tells that the image is an ISO and is attached as a CD.
	// +optional
	CDROM bool `json:"cdrom,omitempty"`
	// Size of the image.
	// +optional
	Size ImageSize `json:"size,omitzero"`
	// DownloadSpeed of the content.
	// +optional
	DownloadSpeed *DownloadSpeed `json:"downloadSpeed,omitempty"`
	// Target is where the image is kept.
	// +optional
	Target ClusterVirtualImageTarget `json:"target,omitzero"`
	// SourceUID is the UID of the object from which the content was copied.
	// +optional
	SourceUID *string `json:"sourceUID,omitempty"`
	// UsedInNamespaces lists the namespaces with a machine or a disk that uses the image.
	// +optional
	UsedInNamespaces []string `json:"usedInNamespaces,omitempty"`
	// ImageUploadURLs accept the upload while the image waits for it.
	// +optional
	ImageUploadURLs *ImageUploadURLs `json:"imageUploadURLs,omitempty"`
	// UploadCommand is deprecated; ImageUploadURLs has the addresses.
	// +optional
	UploadCommand string `json:"uploadCommand,omitempty"`
	// Conditions of the image; types and reasons are in package cvicondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// ClusterVirtualImageTarget is where a ClusterVirtualImage is kept.
type ClusterVirtualImageTarget struct {
	// RegistryURL is the image's reference in DVCR.
	// +optional
	RegistryURL string `json:"registryURL,omitempty"`
}

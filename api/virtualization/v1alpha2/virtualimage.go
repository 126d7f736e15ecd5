package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualImage is a read-only disk image of one namespace, from which disks are made or machines boot.
// Its spec cannot change once the image is ready.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={virtualization},scope=Namespaced,shortName={vi},singular=virtualimage
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="CDROM",type="boolean",JSONPath=".status.cdrom"
// +kubebuilder:printcolumn:name="Progress",type="string",JSONPath=".status.progress"
// +kubebuilder:printcolumn:name="StoredSize",type="string",JSONPath=".status.size.stored",priority=1
// +kubebuilder:printcolumn:name="UnpackedSize",type="string",JSONPath=".status.size.unpacked",priority=1
// +kubebuilder:printcolumn:name="Registry URL",type="string",JSONPath=".status.target.registryURL",priority=1
// +kubebuilder:printcolumn:name="TargetPVC",type="string",JSONPath=".status.target.persistentVolumeClaimName",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualImage struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualImageSpec `json:"spec"`
	// +optional
	Status VirtualImageStatus `json:"status,omitzero"`
}

// VirtualImageList is a list of VirtualImage.
//
// +kubebuilder:object:root=true
type VirtualImageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualImage `json:"items"`
}

// VirtualImageSpec says where the image comes from and where it is kept.
type VirtualImageSpec struct {
	// Storage that keeps the image.
	// +kubebuilder:default=ContainerRegistry
	// +kubebuilder:validation:Enum=ContainerRegistry;Kubernetes;PersistentVolumeClaim
	Storage StorageType `json:"storage"`
	// PersistentVolumeClaim describes the volume when the storage is PersistentVolumeClaim.
	// +optional
	PersistentVolumeClaim VirtualImagePersistentVolumeClaim `json:"persistentVolumeClaim,omitzero"`
	// DataSource of the content.
	DataSource VirtualImageDataSource `json:"dataSource"`
}

// StorageType is a place that keeps an image.
type StorageType string

// Places that keep an image.
const (
	// StorageContainerRegistry is DVCR.
	StorageContainerRegistry StorageType = "ContainerRegistry"
	// StoragePersistentVolumeClaim is a volume of a storage class.
	StoragePersistentVolumeClaim StorageType = "PersistentVolumeClaim"
	// StorageKubernetes is the deprecated name of PersistentVolumeClaim.
	StorageKubernetes StorageType = "Kubernetes"
)

// VirtualImagePersistentVolumeClaim describes the volume of an image.
type VirtualImagePersistentVolumeClaim struct {
	// StorageClassName of the volume; empty means the default class.
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// VirtualImageDataSource is the origin of an image's content.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'HTTP' ? has(self.http) && !has(self.containerImage) && !has(self.objectRef) : true",message="type HTTP needs http, and neither containerImage nor objectRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'ContainerImage' ? has(self.containerImage) && !has(self.http) && !has(self.objectRef) : true",message="type ContainerImage needs containerImage, and neither http nor objectRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'ObjectRef' ? has(self.objectRef) && !has(self.http) && !has(self.containerImage) : true",message="type ObjectRef needs objectRef, and neither http nor containerImage"
type VirtualImageDataSource struct {
	// Type of the source; the field of the same name must be set, except for Upload.
	// +kubebuilder:validation:Enum=HTTP;ContainerImage;ObjectRef;Upload
	// +optional
	Type DataSourceType `json:"type,omitempty"`
	// HTTP is a file on a web server.
	// +optional
	HTTP *HTTPSource `json:"http,omitempty"`
	// ContainerImage is an image in a registry that carries a disk file.
	// +optional
	ContainerImage *ContainerImageSource `json:"containerImage,omitempty"`
	// ObjectRef is another object whose content is copied.
	// +optional
	ObjectRef *VirtualImageObjectRef `json:"objectRef,omitempty"`
}

// VirtualImageObjectRef names the object that a VirtualImage copies.
type VirtualImageObjectRef struct {
	// Kind of the object.
	// +kubebuilder:validation:Enum=ClusterVirtualImage;VirtualImage;VirtualDisk;VirtualDiskSnapshot
	Kind ObjectRefKind `json:"kind"`
	// Name of the object; in the image's own namespace unless the kind is cluster-wide.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// VirtualImageStatus is what was observed of the image.
type VirtualImageStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Provisioning;WaitForUserUpload;Ready;Failed;Terminating;ImageLost;PVCLost
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
	Target VirtualImageTarget `json:"target,omitzero"`
	// StorageClassName of the volume, when the image is kept in one.
	// +optional
	StorageClassName string `json:"storageClassName,omitempty"`
	// SourceUID is the UID of the object from which the content was copied.
	// +optional
	SourceUID *string `json:"sourceUID,omitempty"`
	// ImageUploadURLs accept the upload while the image waits for it.
	// +optional
	ImageUploadURLs *ImageUploadURLs `json:"imageUploadURLs,omitempty"`
	// UploadCommand is deprecated; ImageUploadURLs has the addresses.
	// +optional
	UploadCommand string `json:"uploadCommand,omitempty"`
	// Conditions of the image; types and reasons are in package vicondition.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// VirtualImageTarget is where a VirtualImage is kept.
type VirtualImageTarget struct {
	// RegistryURL is the image's reference in DVCR.
	// +optional
	RegistryURL string `json:"registryURL,omitempty"`
	// PersistentVolumeClaimName is the volume that holds the image.
	// +optional
	PersistentVolumeClaimName string `json:"persistentVolumeClaimName,omitempty"`
}

package v1alpha2

// DataSourceType says where the content of a disk or an image comes from.
type DataSourceType string

// Sources of content.
const (
	// DataSourceHTTP downloads a file over HTTP or HTTPS.
	DataSourceHTTP DataSourceType = "HTTP"
	// DataSourceContainerImage takes the disk file out of a container image.
	DataSourceContainerImage DataSourceType = "ContainerImage"
	// DataSourceObjectRef copies another image, disk or snapshot.
	DataSourceObjectRef DataSourceType = "ObjectRef"
	// DataSourceUpload waits for a user to upload the file.
	DataSourceUpload DataSourceType = "Upload"
)

// HTTPSource is a file on a web server.
type HTTPSource struct {
	// URL of the file; http or https.
	// +kubebuilder:validation:Pattern=`^http[s]?:\/\/(?:[a-zA-Z]|[0-9]|[$-_@.&+]|[!*\(\),]|(?:%[0-9a-fA-F][0-9a-fA-F]))+$`
	URL string `json:"url"`
	// CABundle holds PEM certificates to trust, beside the system's, when the server is asked over TLS.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// Checksum that the downloaded file must have.
	// +optional
	Checksum *Checksum `json:"checksum,omitempty"`
}

// Checksum of a file as it lies on the server, before any decompression; each sum that is set must match.
type Checksum struct {
	// MD5 sum in hexadecimal.
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F]{32}$`
	// +optional
	MD5 string `json:"md5,omitempty"`
	// SHA256 sum in hexadecimal.
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
}

// ContainerImageSource is a container image that carries a disk file.
type ContainerImageSource struct {
	// Image is the reference of the container image, by tag or digest.
	Image ContainerImageName `json:"image"`
	// CABundle holds PEM certificates to trust, beside the system's, when the registry is asked over TLS.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// ImagePullSecret names the credentials for the registry.
	// +optional
	ImagePullSecret ImagePullSecretName `json:"imagePullSecret,omitzero"`
}

// ContainerImageName is the reference of a container image: domain, path, and a tag or digest.
// +kubebuilder:validation:Pattern=`^(?P<name>(?:(?P<domain>(?:(?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?)|[\w]+:\d+)/)?(?P<image>[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*))(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[+.-_][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`
type ContainerImageName string

// ImagePullSecretName names a Secret of type kubernetes.io/dockerconfigjson in the object's own namespace.
type ImagePullSecretName struct {
	// Name of the Secret.
	// +optional
	Name string `json:"name,omitempty"`
}

// ObjectRefKind is the kind of an object whose content is copied.
type ObjectRefKind string

// Kinds whose content can be copied; which of them depends on the kind that refers.
const (
	ObjectRefClusterVirtualImage ObjectRefKind = ClusterVirtualImageKind
	ObjectRefVirtualImage        ObjectRefKind = VirtualImageKind
	ObjectRefVirtualDisk         ObjectRefKind = VirtualDiskKind
	ObjectRefVirtualDiskSnapshot ObjectRefKind = VirtualDiskSnapshotKind
)

// ImageSize tells how large an image is, stored and unpacked, both for people and in bytes.
type ImageSize struct {
	// Stored is the space the image takes in its storage, with a unit.
	// +optional
	Stored string `json:"stored,omitempty"`
	// StoredBytes is the space the image takes in its storage, in bytes.
	// +optional
	StoredBytes string `json:"storedBytes,omitempty"`
	// Unpacked is the size of the disk that the image holds, with a unit.
	// +optional
	Unpacked string `json:"unpacked,omitempty"`
	// UnpackedBytes is the size of the disk that the image holds, in bytes.
	// +optional
	UnpackedBytes string `json:"unpackedBytes,omitempty"`
}

// DownloadSpeed tells how fast content comes in, both for people and in bytes per second.
type DownloadSpeed struct {
	// Avg is the mean rate since the download began, with a unit.
	// +optional
	Avg string `json:"avg,omitempty"`
	// AvgBytes is the mean rate since the download began, in bytes per second.
	// +optional
	AvgBytes string `json:"avgBytes,omitempty"`
	// Current is the present rate, with a unit.
	// +optional
	Current string `json:"current,omitempty"`
	// CurrentBytes is the present rate, in bytes per second.
	// +optional
	CurrentBytes string `json:"currentBytes,omitempty"`
}

// ImageUploadURLs are the addresses that accept an upload.
type ImageUploadURLs struct {
	// External is reachable from outside the cluster.
	// +optional
	External string `json:"external,omitempty"`
	// InCluster is reachable from pods of the cluster.
	// +optional
	InCluster string `json:"inCluster,omitempty"`
}

// ImagePhase is the summary of an image's conditions.
type ImagePhase string

// Phases of VirtualImage and ClusterVirtualImage.
const (
	// ImagePending waits for what the image depends on.
	ImagePending ImagePhase = "Pending"
	// ImageProvisioning is filling the image.
	ImageProvisioning ImagePhase = "Provisioning"
	// ImageWaitForUserUpload waits for the user's upload.
	ImageWaitForUserUpload ImagePhase = "WaitForUserUpload"
	// ImageReady can be used; its spec does not change any more.
	ImageReady ImagePhase = "Ready"
	// ImageFailed could not be filled.
	ImageFailed ImagePhase = "Failed"
	// ImageTerminating is being deleted.
	ImageTerminating ImagePhase = "Terminating"
	// ImageLost was ready, and its content is gone from the registry.
	ImageLost ImagePhase = "ImageLost"
	// ImagePVCLost was ready, and its volume is gone; VirtualImage only.
	ImagePVCLost ImagePhase = "PVCLost"
)

package image

import (
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/cvicondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
)

// traits are the words in which VirtualImage and ClusterVirtualImage differ.
type traits struct {
	// controller is the name of the kind's controller, kind the kind itself.
	controller string
	kind       string
	// cleanup and protection are the kind's finalizers.
	cleanup    string
	protection string
	// waiting is the reason of Ready while the source is not ready.
	waiting string
	// specChanged and recovered are reasons of events.
	specChanged string
	recovered   string
	// storage tells that the kind has the condition StorageClassReady, pull that its
	// Ready has the reason ImagePullFailed.
	storage bool
	pull    bool
}

// kind adapts one of the two to the engine.
type kind[O client.Object] struct {
	traits
	newObject func() O
	// repository is where the image lies in DVCR.
	repository func(O) string
	// spec reads the spec in VirtualImage's terms and the Secret it pulls with.
	spec func(O) (v1alpha2.VirtualImageSpec, types.NamespacedName)
	// status reads the status, report writes it.
	status func(O) v1alpha2.VirtualImageStatus
	report func(O, v1alpha2.VirtualImageStatus, users)
}

func virtualImage() kind[*v1alpha2.VirtualImage] {
	return kind[*v1alpha2.VirtualImage]{
		traits: traits{
			controller:  "virtualimage",
			kind:        v1alpha2.VirtualImageKind,
			cleanup:     finalizers.VirtualImageCleanup,
			protection:  finalizers.VirtualImageProtection,
			waiting:     vicondition.DatasourceNotReady,
			specChanged: "VirtualImageSpecHasBeenChanged",
			recovered:   "VirtualImageLostRecovered",
			storage:     true,
			pull:        true,
		},
		newObject:  func() *v1alpha2.VirtualImage { return &v1alpha2.VirtualImage{} },
		repository: func(o *v1alpha2.VirtualImage) string { return "vi/" + o.Namespace + "/" + o.Name },
		spec:       virtualImageSpec,
		status:     func(o *v1alpha2.VirtualImage) v1alpha2.VirtualImageStatus { return *o.Status.DeepCopy() },
		report: func(o *v1alpha2.VirtualImage, status v1alpha2.VirtualImageStatus, _ users) {
			o.Status = status
		},
	}
}

func virtualImageSpec(o *v1alpha2.VirtualImage) (v1alpha2.VirtualImageSpec, types.NamespacedName) {
	spec := *o.Spec.DeepCopy()
	if spec.DataSource.ContainerImage == nil {
		return spec, types.NamespacedName{}
	}
	return spec, types.NamespacedName{Namespace: o.Namespace, Name: spec.DataSource.ContainerImage.ImagePullSecret.Name}
}

func clusterVirtualImage() kind[*v1alpha2.ClusterVirtualImage] {
	return kind[*v1alpha2.ClusterVirtualImage]{
		traits: traits{
			controller:  "clustervirtualimage",
			kind:        v1alpha2.ClusterVirtualImageKind,
			cleanup:     finalizers.ClusterVirtualImageCleanup,
			protection:  finalizers.ClusterVirtualImageProtection,
			waiting:     cvicondition.ProvisioningNotStarted,
			specChanged: "ClusterVirtualImageSpecHasBeenChanged",
			recovered:   "ClusterVirtualImageLostRecovered",
		},
		newObject:  func() *v1alpha2.ClusterVirtualImage { return &v1alpha2.ClusterVirtualImage{} },
		repository: func(o *v1alpha2.ClusterVirtualImage) string { return "cvi/" + o.Name },
		spec:       clusterVirtualImageSpec,
		status:     clusterVirtualImageStatus,
		report:     reportClusterVirtualImage,
	}
}

func clusterVirtualImageSpec(o *v1alpha2.ClusterVirtualImage) (v1alpha2.VirtualImageSpec, types.NamespacedName) {
	source := o.Spec.DataSource.DeepCopy()
	spec := v1alpha2.VirtualImageSpec{
		Storage:    v1alpha2.StorageContainerRegistry,
		DataSource: v1alpha2.VirtualImageDataSource{Type: source.Type, HTTP: source.HTTP},
	}
	if ref := source.ObjectRef; ref != nil {
		spec.DataSource.ObjectRef = &v1alpha2.VirtualImageObjectRef{Kind: ref.Kind, Name: ref.Name}
	}
	container := source.ContainerImage
	if container == nil {
		return spec, types.NamespacedName{}
	}
	secret := types.NamespacedName{Namespace: container.ImagePullSecret.Namespace, Name: container.ImagePullSecret.Name}
	spec.DataSource.ContainerImage = &v1alpha2.ContainerImageSource{
		Image:           container.Image,
		CABundle:        container.CABundle,
		ImagePullSecret: v1alpha2.ImagePullSecretName{Name: secret.Name},
	}
	return spec, secret
}

func clusterVirtualImageStatus(o *v1alpha2.ClusterVirtualImage) v1alpha2.VirtualImageStatus {
	status := o.Status.DeepCopy()
	return v1alpha2.VirtualImageStatus{
		Phase:              status.Phase,
		Progress:           status.Progress,
		Format:             status.Format,
		CDROM:              status.CDROM,
		Size:               status.Size,
		DownloadSpeed:      status.DownloadSpeed,
		Target:             v1alpha2.VirtualImageTarget{RegistryURL: status.Target.RegistryURL},
		SourceUID:          status.SourceUID,
		ImageUploadURLs:    status.ImageUploadURLs,
		UploadCommand:      status.UploadCommand,
		Conditions:         status.Conditions,
		ObservedGeneration: status.ObservedGeneration,
	}
}

func reportClusterVirtualImage(o *v1alpha2.ClusterVirtualImage, status v1alpha2.VirtualImageStatus, u users) {
	o.Status.Phase = status.Phase
	o.Status.Progress = status.Progress
	o.Status.Format = status.Format
	o.Status.CDROM = status.CDROM
	o.Status.Size = status.Size
	o.Status.DownloadSpeed = status.DownloadSpeed
	o.Status.Target.RegistryURL = status.Target.RegistryURL
	o.Status.SourceUID = status.SourceUID
	o.Status.ImageUploadURLs = status.ImageUploadURLs
	o.Status.UploadCommand = status.UploadCommand
	o.Status.Conditions = status.Conditions
	o.Status.ObservedGeneration = status.ObservedGeneration
	o.Status.UsedInNamespaces = u.namespaces()
}

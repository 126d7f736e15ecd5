package disk

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/lineage"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/refuse"
)

// resolveSource sets source. A volume that is underway has its source already.
func (e *engine) resolveSource(ctx context.Context, s *scope) flow.Outcome {
	data := s.disk.Spec.DataSource
	switch {
	case s.underway() || data == nil:
		s.source.readiness = sourceReady()
		return flow.Done()
	case data.Type == v1alpha2.DataSourceHTTP && data.HTTP != nil:
		s.source = externalSource(intake.HTTP(data.HTTP), e.shelf.Address(), s)
		return flow.Done()
	case data.Type == v1alpha2.DataSourceUpload:
		s.source = externalSource(intake.Upload(maxUpload(s.disk)), e.shelf.Address(), s)
		return flow.Done()
	case data.Type == v1alpha2.DataSourceContainerImage && data.ContainerImage != nil:
		return e.resolveContainerImage(ctx, s, data.ContainerImage)
	case data.Type == v1alpha2.DataSourceObjectRef && data.ObjectRef != nil:
		return e.resolveObject(ctx, s, data.ObjectRef)
	default:
		s.source = notSupported("a data source of type %q is not supported by this version; use HTTP, ContainerImage, ObjectRef or Upload", data.Type)
		return flow.Done()
	}
}

// maxUpload is the largest disk that may be uploaded; 0 where the disk does not
// say how large it is to be.
func maxUpload(vd *v1alpha2.VirtualDisk) int64 {
	if vd.Spec.PersistentVolumeClaim.Size == nil {
		return 0
	}
	return vd.Spec.PersistentVolumeClaim.Size.Value()
}

func externalSource(content importer.Source, registry string, s *scope) source {
	return source{readiness: sourceReady(), external: &content, url: registry + "/" + artifactName(s.disk)}
}

func (e *engine) resolveContainerImage(ctx context.Context, s *scope, container *v1alpha2.ContainerImageSource) flow.Outcome {
	login := intake.Login{}
	if name := container.ImagePullSecret.Name; name != "" {
		var secret corev1.Secret
		err := e.secrets.Get(ctx, types.NamespacedName{Namespace: s.disk.Namespace, Name: name}, &secret)
		if err == nil {
			login, err = intake.LoginFor(&secret, string(container.Image))
		}
		if apierrors.IsNotFound(err) || errors.Is(err, intake.ErrBadSecret) {
			s.source.readiness = secretMissing(name, err)
			return flow.Done()
		}
		if err != nil {
			return flow.Fail("SecretUnreadable", fmt.Errorf("get Secret %s: %w", name, err))
		}
	}
	trust, err := intake.TrustOf(ctx, e.secrets, s.disk, e.signedBy)
	if apierrors.IsNotFound(err) || errors.Is(err, intake.ErrBadSecret) {
		s.source.readiness = readiness{known: true, reason: vdcondition.ContainerRegistrySecretNotFound, message: err.Error()}
		return flow.Done()
	}
	if err != nil {
		return flow.Fail("SecretUnreadable", err)
	}
	content := intake.Registry(container, login)
	content.Registry.SignedBy = trust
	s.source = externalSource(content, e.shelf.Address(), s)
	return flow.Done()
}

func secretMissing(name string, err error) readiness {
	message := fmt.Sprintf("Secret %s named by imagePullSecret is not there; create it", name)
	if !apierrors.IsNotFound(err) {
		message = err.Error()
	}
	return readiness{known: true, reason: vdcondition.ContainerRegistrySecretNotFound, message: message}
}

// resolveObject reads the image or snapshot that the disk is made from.
func (e *engine) resolveObject(ctx context.Context, s *scope, ref *v1alpha2.VirtualDiskObjectRef) flow.Outcome {
	var image *observedImage
	var err error
	switch ref.Kind {
	case v1alpha2.ObjectRefVirtualImage:
		image, err = e.virtualImage(ctx, types.NamespacedName{Namespace: s.disk.Namespace, Name: ref.Name})
	case v1alpha2.ObjectRefClusterVirtualImage:
		image, err = e.clusterVirtualImage(ctx, types.NamespacedName{Name: ref.Name})
	case v1alpha2.ObjectRefVirtualDiskSnapshot:
		return e.resolveSnapshot(ctx, s, ref.Name)
	default:
		s.source = notSupported("making a disk from a %s (%s) is not supported by this version; use a VirtualImage, ClusterVirtualImage or VirtualDiskSnapshot", ref.Kind, ref.Name)
		return flow.Done()
	}
	if err != nil {
		return flow.Fail("ImageUnknown", err)
	}
	s.source = sourceOfImage(ref, image, s.filledBefore())
	return flow.Done()
}

// observedImage is what a disk needs to know of an image.
type observedImage struct {
	uid      types.UID
	phase    v1alpha2.ImagePhase
	url      string
	unpacked string
	cdrom    bool
	deleting bool
}

func (e *engine) virtualImage(ctx context.Context, key types.NamespacedName) (*observedImage, error) {
	var image v1alpha2.VirtualImage
	found, err := e.find(ctx, key, &image)
	if err != nil || !found {
		return nil, err
	}
	status := image.Status
	return &observedImage{
		image.UID, status.Phase, status.Target.RegistryURL, status.Size.UnpackedBytes, status.CDROM,
		!image.DeletionTimestamp.IsZero(),
	}, nil
}

func (e *engine) clusterVirtualImage(ctx context.Context, key types.NamespacedName) (*observedImage, error) {
	var image v1alpha2.ClusterVirtualImage
	found, err := e.find(ctx, key, &image)
	if err != nil || !found {
		return nil, err
	}
	status := image.Status
	return &observedImage{
		image.UID, status.Phase, status.Target.RegistryURL, status.Size.UnpackedBytes, status.CDROM,
		!image.DeletionTimestamp.IsZero(),
	}, nil
}

// filledBefore is the object that the disk was being made from before this run,
// empty when it was not. That object is kept for the disk until its volume is
// filled.
func (s *scope) filledBefore() types.UID {
	if !lineage.Fills(s.disk) {
		return ""
	}
	return types.UID(ptr.Deref(s.old.SourceUID, ""))
}

// sourceOfImage decides whether a disk can be made from an image; nil means that
// the image is not there. One that is being deleted is for the disk only that was
// being made from it before.
func sourceOfImage(ref *v1alpha2.VirtualDiskObjectRef, image *observedImage, before types.UID) source {
	notFound, notReady := vdcondition.ImageNotFound, vdcondition.ImageNotReady
	if ref.Kind == v1alpha2.ObjectRefClusterVirtualImage {
		notFound, notReady = vdcondition.ClusterImageNotFound, vdcondition.ClusterImageNotReady
	}
	name := string(ref.Kind) + " " + ref.Name
	if image == nil {
		return source{missing: true, readiness: readiness{known: true, reason: notFound, message: name + " is not there; create it, or correct the data source"}}
	}
	kept := image.uid == before && image.phase == v1alpha2.ImageTerminating
	if !kept && (image.phase != v1alpha2.ImageReady || image.deleting && image.uid != before) {
		return source{readiness: readiness{known: true, reason: notReady, message: fmt.Sprintf("%s is not ready, its phase is %s", name, phaseOr(image.phase))}}
	}
	unpacked, err := strconv.ParseInt(image.unpacked, 10, 64)
	if err != nil || image.url == "" {
		return source{readiness: readiness{known: true, reason: notReady, message: name + " does not tell yet where it is and how large"}}
	}
	return source{readiness: sourceReady(), url: image.url, uid: image.uid, unpacked: unpacked, cdrom: image.cdrom}
}

func phaseOr(phase v1alpha2.ImagePhase) v1alpha2.ImagePhase {
	if phase == "" {
		return v1alpha2.ImagePending
	}
	return phase
}

func sourceReady() readiness {
	return readiness{known: true, ready: true, reason: vdcondition.DatasourceReady}
}

func notSupported(format string, args ...any) source {
	return source{refused: true, readiness: readiness{known: true, reason: refuse.NotSupported, message: fmt.Sprintf(format, args...)}}
}

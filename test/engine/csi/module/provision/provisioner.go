package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	snapshots "github.com/kubernetes-csi/external-snapshotter/client/v8/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Provisioner does the work.
type Provisioner struct {
	// Driver is the driver's name.
	Driver string
	// Clients reach the API server.
	Clients kubernetes.Interface
	// Snapshots reach the kinds of snapshots.
	Snapshots snapshots.Interface
	// Controller is the driver's.
	Controller csi.ControllerClient
}

// errNotReady is a source that is not there yet.
var errNotReady = errors.New("the source is not ready")

// Pass looks at everything once, and does what is due. What fails is tried at the next pass; the rest is done.
func (p *Provisioner) Pass(ctx context.Context) error {
	classes, err := p.classes(ctx)
	if err != nil {
		return err
	}
	claims, err := p.Clients.CoreV1().PersistentVolumeClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list claims: %w", err)
	}
	var errs []error
	for i := range claims.Items {
		claim := &claims.Items[i]
		if class := classOf(claim, classes); due(claim, class, p.Driver) {
			errs = append(errs, p.provision(ctx, claim, class))
		}
	}
	return errors.Join(append(errs, p.deleteAbandoned(ctx))...)
}

func (p *Provisioner) classes(ctx context.Context) (map[string]*storagev1.StorageClass, error) {
	list, err := p.Clients.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list classes: %w", err)
	}
	classes := map[string]*storagev1.StorageClass{}
	for i := range list.Items {
		classes[list.Items[i].Name] = &list.Items[i]
	}
	return classes, nil
}

func classOf(claim *corev1.PersistentVolumeClaim, classes map[string]*storagev1.StorageClass) *storagev1.StorageClass {
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	return classes[*claim.Spec.StorageClassName]
}

// provision makes the volume of a claim. Its name follows from the claim's UID, so that a second attempt finds the first's.
func (p *Provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	name := "pvc-" + string(claim.UID)
	source, err := p.source(ctx, claim)
	if err != nil {
		return fmt.Errorf("provision claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	made, err := p.Controller.CreateVolume(ctx, &csi.CreateVolumeRequest{
		Name: name, CapacityRange: &csi.CapacityRange{RequiredBytes: size.Value()},
		VolumeCapabilities: capabilities(claim), VolumeContentSource: source,
	})
	if err != nil {
		return fmt.Errorf("provision claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err = p.Clients.CoreV1().PersistentVolumes().Create(ctx, p.volume(name, claim, class, made.GetVolume()), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("tell of the volume of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

func capabilities(claim *corev1.PersistentVolumeClaim) []*csi.VolumeCapability {
	capability := &csi.VolumeCapability{AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER}}
	if block(claim) {
		capability.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
	} else {
		capability.AccessType = &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}}
	}
	return []*csi.VolumeCapability{capability}
}

func block(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// volume is what the claim gets.
func (p *Provisioner) volume(name string, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, made *csi.Volume) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: p.Driver}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(made.GetCapacityBytes(), resource.BinarySI)},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			StorageClassName:              class.Name,
			MountOptions:                  class.MountOptions,
			PersistentVolumeReclaimPolicy: reclaim,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: p.Driver, VolumeHandle: made.GetVolumeId()}},
		},
	}
}

// deleteAbandoned deletes the volumes that were released.
func (p *Provisioner) deleteAbandoned(ctx context.Context) error {
	volumes, err := p.Clients.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	var errs []error
	for i := range volumes.Items {
		if volume := &volumes.Items[i]; abandoned(volume, p.Driver) {
			errs = append(errs, p.delete(ctx, volume))
		}
	}
	return errors.Join(errs...)
}

func (p *Provisioner) delete(ctx context.Context, volume *corev1.PersistentVolume) error {
	_, err := p.Controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volume.Spec.CSI.VolumeHandle})
	if err != nil {
		return fmt.Errorf("delete volume %s: %w", volume.Name, err)
	}
	err = p.Clients.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("forget volume %s: %w", volume.Name, err)
	}
	return nil
}

package provision

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// source is what a claim's volume is copied from; nil when it is empty.
func (p *Provisioner) source(ctx context.Context, claim *corev1.PersistentVolumeClaim) (*csi.VolumeContentSource, error) {
	ref := claim.Spec.DataSourceRef
	switch {
	case ref == nil:
		return nil, nil
	case ref.Kind == "VolumeSnapshot":
		return p.snapshotSource(ctx, claim.Namespace, ref.Name)
	default:
		return p.volumeSource(ctx, claim.Namespace, ref.Name)
	}
}

func (p *Provisioner) volumeSource(ctx context.Context, namespace, name string) (*csi.VolumeContentSource, error) {
	claim, err := p.Clients.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get the claim to clone: %w", err)
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return nil, fmt.Errorf("clone claim %s: %w", name, errNotReady)
	}
	volume, err := p.Clients.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get the volume to clone: %w", err)
	}
	if volume.Spec.CSI == nil || volume.Spec.CSI.Driver != p.Driver {
		return nil, fmt.Errorf("clone claim %s: its volume is of another driver", name)
	}
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
		Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: volume.Spec.CSI.VolumeHandle},
	}}, nil
}

func (p *Provisioner) snapshotSource(ctx context.Context, namespace, name string) (*csi.VolumeContentSource, error) {
	snapshot, err := p.Snapshots.SnapshotV1().VolumeSnapshots(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get the snapshot to restore: %w", err)
	}
	status := snapshot.Status
	if status == nil || status.ReadyToUse == nil || !*status.ReadyToUse || status.BoundVolumeSnapshotContentName == nil {
		return nil, fmt.Errorf("restore snapshot %s: %w", name, errNotReady)
	}
	content, err := p.Snapshots.SnapshotV1().VolumeSnapshotContents().Get(ctx, *status.BoundVolumeSnapshotContentName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get the content of snapshot %s: %w", name, err)
	}
	if content.Spec.Driver != p.Driver || content.Status == nil || content.Status.SnapshotHandle == nil {
		return nil, fmt.Errorf("restore snapshot %s: its content is not of this driver", name)
	}
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
		Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: *content.Status.SnapshotHandle},
	}}, nil
}

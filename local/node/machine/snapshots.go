package machine

import (
	"context"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/local/node/instance"
)

// Storage is what decides whether a machine's volumes can have snapshots.
type Storage struct {
	Class        map[string]string // of each claim that is there
	Snapshotting map[string]bool   // classes whose driver has a class of snapshots
}

// volumeSnapshots says of each volume whether it can have snapshots, in KubeVirt's words.
func volumeSnapshots(volumes []virtv1.Volume, s Storage) []virtv1.VolumeSnapshotStatus {
	var out []virtv1.VolumeSnapshotStatus
	for i := range volumes {
		reason := noSnapshots(&volumes[i], s)
		out = append(out, virtv1.VolumeSnapshotStatus{Name: volumes[i].Name, Enabled: reason == "", Reason: reason})
	}
	return out
}

func noSnapshots(v *virtv1.Volume, s Storage) string {
	var claim string
	switch {
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	case v.DataVolume != nil:
		claim = v.DataVolume.Name
	default:
		return fmt.Sprintf("Snapshot is not supported for this volumeSource type [%s]", v.Name)
	}
	class, found := s.Class[claim]
	switch {
	case !found:
		return "PVC not found"
	case !s.Snapshotting[class]:
		return fmt.Sprintf("No VolumeSnapshotClass: Volume snapshots are not configured for this StorageClass [%s] [%s]", class, v.Name)
	}
	return ""
}

func (r *Reconciler) storage(ctx context.Context, vm *virtv1.VirtualMachine) (Storage, error) {
	s := Storage{Class: map[string]string{}, Snapshotting: map[string]bool{}}
	if vm.Spec.Template == nil {
		return s, nil
	}
	for _, name := range instance.Claims(&vm.Spec.Template.Spec) {
		var claim corev1.PersistentVolumeClaim
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: vm.Namespace, Name: name}, &claim)
		if client.IgnoreNotFound(err) != nil {
			return s, fmt.Errorf("get claim %s/%s: %w", vm.Namespace, name, err)
		}
		if err == nil {
			s.Class[name] = ptr.Deref(claim.Spec.StorageClassName, "")
		}
	}
	var classes storagev1.StorageClassList
	if err := r.Client.List(ctx, &classes); err != nil {
		return s, fmt.Errorf("list storage classes: %w", err)
	}
	var snapshotting snapshotv1.VolumeSnapshotClassList
	if err := r.Client.List(ctx, &snapshotting); err != nil {
		return s, fmt.Errorf("list classes of snapshots: %w", err)
	}
	for _, class := range classes.Items {
		s.Snapshotting[class.Name] = slices.ContainsFunc(snapshotting.Items,
			func(s snapshotv1.VolumeSnapshotClass) bool { return s.Driver == class.Provisioner })
	}
	return s, nil
}

// all are told when a class of snapshots comes or goes.
func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineList
	if err := r.Client.List(ctx, &list); err != nil {
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}

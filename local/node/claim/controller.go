package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/volume"
)

// Disks knows which guests use which volumes.
type Disks interface {
	UserOf(volume string) (types.UID, bool)
	// Grow makes a volume's disk larger in the guest that uses it, and says false when no guest does.
	Grow(ctx context.Context, volume string, size int64) (bool, error)
}

// Deps are what the reconciler works with.
type Deps struct {
	Client    client.Client
	Reader    client.Reader // of Secrets and ConfigMaps, which are not cached
	Volumes   *volume.Store
	Snapshots *volume.Snapshots
	Disks     Disks
	Collect   func() error // removes base images that nothing needs any more
	Clock     clock.PassiveClock
	Recorder  events.EventRecorder
	Node      string
	Default   instance.Credentials
}

// Reconciler serves claims.
type Reconciler struct {
	Deps
	jobs *job.Runner
}

// NewReconciler makes a reconciler.
func NewReconciler(d Deps, jobs *job.Runner) *Reconciler { return &Reconciler{Deps: d, jobs: jobs} }

// SetupWithManager watches claims, the instances that use them, the snapshots that they are filled from, and the news from
// volumes in the making.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("node-claim").
		For(&corev1.PersistentVolumeClaim{}).
		Watches(&virtv1.VirtualMachineInstance{}, handler.EnqueueRequestsFromMapFunc(claimsOf)).
		Watches(&snapshotv1.VolumeSnapshot{}, handler.EnqueueRequestsFromMapFunc(r.restored)).
		WatchesRawSource(source.Channel(r.jobs.Feed(mgr, newClaim), &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the claim controller: %w", err)
	}
	return nil
}

// Reconcile brings one claim a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	pvc := &corev1.PersistentVolumeClaim{}
	if err := r.Client.Get(ctx, req.NamespacedName, pvc); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("get claim %s: %w", req, err)
	}
	s, err := r.gather(ctx, pvc)
	if err != nil {
		return ctrl.Result{}, err
	}
	result, err := r.act(ctx, pvc, s)
	if apierrors.IsConflict(err) { // the cache is behind what somebody wrote: the event of that brings the next look
		return ctrl.Result{}, nil
	}
	return result, err
}

func (r *Reconciler) act(ctx context.Context, pvc *corev1.PersistentVolumeClaim, s Situation) (ctrl.Result, error) {
	switch Decide(s) {
	case Hold:
		return ctrl.Result{}, r.hold(ctx, pvc)
	case Postpone:
		return ctrl.Result{}, r.postpone(ctx, pvc)
	case Provision:
		return r.provision(ctx, pvc, s.Wanted)
	case Bind:
		return ctrl.Result{}, r.bind(ctx, pvc)
	case Grow:
		return ctrl.Result{}, r.grow(ctx, pvc, s.Wanted)
	case Release:
		return ctrl.Result{}, r.release(ctx, pvc)
	}
	if s.Refused != "" && !s.Deleting {
		r.Recorder.Eventf(pvc, nil, corev1.EventTypeWarning, "ProvisioningFailed", "Provision", "%s", s.Refused)
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) gather(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (Situation, error) {
	s := Situation{
		Held: slices.Contains(pvc.Finalizers, Finalizer), Deleting: !pvc.DeletionTimestamp.IsZero(),
		Others: others(pvc.Finalizers), Refused: refuse(pvc), Wanted: size(pvc),
		Copied: slices.Contains(pvc.Finalizers, SourceProtection),
	}
	class, err := r.class(ctx, pvc)
	if err != nil || class == nil && !s.Held {
		return s, err
	}
	s.Served = true
	var wanted bool
	s.User, wanted, err = r.user(ctx, pvc)
	if err != nil {
		return s, err
	}
	s.Waits = waits(class, pvc) && !wanted
	record, err := r.Volumes.Get(string(pvc.UID))
	switch {
	case err == nil:
		s.Size = record.Size
	case !errors.Is(err, volume.ErrNotFound):
		return s, err
	}
	s.Bound = isBound(pvc, s)
	return s, nil
}

// isBound says false as well of a claim whose volume has grown while its capacity has not been told: binding does that.
func isBound(pvc *corev1.PersistentVolumeClaim, s Situation) bool {
	capacity := pvc.Status.Capacity[corev1.ResourceStorage]
	untold := s.Wanted <= s.Size && capacity.Cmp(*pvc.Spec.Resources.Requests.Storage()) < 0
	return pvc.Status.Phase == corev1.ClaimBound && !untold
}

// class is the claim's class when that names this provisioner, else nil. A claim that was bound by somebody else is not
// touched.
func (r *Reconciler) class(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (*storagev1.StorageClass, error) {
	if pvc.Spec.StorageClassName == nil || *pvc.Spec.StorageClassName == "" {
		return nil, nil
	}
	var class storagev1.StorageClass
	err := r.Client.Get(ctx, client.ObjectKey{Name: *pvc.Spec.StorageClassName}, &class)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get storage class %s: %w", *pvc.Spec.StorageClassName, err)
	}
	if foreign := pvc.Spec.VolumeName != "" && pvc.Spec.VolumeName != volumeName(pvc); foreign || class.Provisioner != Provisioner {
		return nil, nil
	}
	return &class, nil
}

// waits says whether a claim's volume is made only when something uses it.
func waits(class *storagev1.StorageClass, pvc *corev1.PersistentVolumeClaim) bool {
	return class != nil && ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) == storagev1.VolumeBindingWaitForFirstConsumer &&
		pvc.Annotations[AnnotationBindAtOnce] == "" && pvc.Annotations[AnnotationSelectedNode] == ""
}

// user names who uses the volume: a process, or an instance that is about to have one. One that only waits for the volume
// wants it.
func (r *Reconciler) user(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (name string, wanted bool, err error) {
	if uid, used := r.Disks.UserOf(string(pvc.UID)); used {
		return string(uid), true, nil
	}
	var list virtv1.VirtualMachineInstanceList
	if err := r.Client.List(ctx, &list, client.InNamespace(pvc.Namespace)); err != nil {
		return "", false, fmt.Errorf("list instances in %s: %w", pvc.Namespace, err)
	}
	for i := range list.Items {
		vmi := &list.Items[i]
		if instance.Final(vmi.Status.Phase) || !instance.Uses(&vmi.Spec, pvc.Name) {
			continue
		}
		wanted = true
		if vmi.Status.Phase != virtv1.Pending {
			return vmi.Name, true, nil
		}
	}
	return "", wanted, nil
}

const sector = 512

// size is what a claim requests, in whole sectors.
func size(pvc *corev1.PersistentVolumeClaim) int64 {
	bytes := pvc.Spec.Resources.Requests.Storage().Value()
	return (bytes + sector - 1) / sector * sector
}

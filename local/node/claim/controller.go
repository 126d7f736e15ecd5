package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
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
	Client   client.Client
	Reader   client.Reader // of Secrets and ConfigMaps, which are not cached
	Volumes  *volume.Store
	Disks    Disks
	Collect  func() error // removes base images that nothing needs any more
	Clock    clock.PassiveClock
	Recorder events.EventRecorder
	Node     string
	Default  instance.Credentials
}

// Reconciler serves claims.
type Reconciler struct {
	Deps
	jobs *job.Runner
}

// NewReconciler makes a reconciler.
func NewReconciler(d Deps, jobs *job.Runner) *Reconciler { return &Reconciler{Deps: d, jobs: jobs} }

// SetupWithManager watches claims, the instances that use them, and the news from volumes in the making.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("node-claim").
		For(&corev1.PersistentVolumeClaim{}).
		Watches(&virtv1.VirtualMachineInstance{}, handler.EnqueueRequestsFromMapFunc(claimsOf)).
		WatchesRawSource(source.Channel(r.news(mgr), &handler.EnqueueRequestForObject{})).
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
	if apierrors.IsConflict(err) { // somebody else wrote in the meantime: look again
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	return result, err
}

func (r *Reconciler) act(ctx context.Context, pvc *corev1.PersistentVolumeClaim, s Situation) (ctrl.Result, error) {
	switch Decide(s) {
	case Hold:
		return ctrl.Result{}, r.hold(ctx, pvc)
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
	}
	served, err := r.serves(ctx, pvc)
	if err != nil || !served && !s.Held {
		return s, err
	}
	s.Served = true
	s.User, err = r.user(ctx, pvc)
	if err != nil {
		return s, err
	}
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

// serves says whether the claim's class names this provisioner. A claim that was bound by somebody else is not touched.
func (r *Reconciler) serves(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (bool, error) {
	if pvc.Spec.StorageClassName == nil || *pvc.Spec.StorageClassName == "" {
		return false, nil
	}
	var class storagev1.StorageClass
	err := r.Client.Get(ctx, client.ObjectKey{Name: *pvc.Spec.StorageClassName}, &class)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get storage class %s: %w", *pvc.Spec.StorageClassName, err)
	}
	foreign := pvc.Spec.VolumeName != "" && pvc.Spec.VolumeName != volumeName(pvc)
	return class.Provisioner == Provisioner && !foreign, nil
}

// user names who uses the volume: a process, or an instance that is about to have one.
func (r *Reconciler) user(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (string, error) {
	if uid, used := r.Disks.UserOf(string(pvc.UID)); used {
		return string(uid), nil
	}
	var list virtv1.VirtualMachineInstanceList
	if err := r.Client.List(ctx, &list, client.InNamespace(pvc.Namespace)); err != nil {
		return "", fmt.Errorf("list instances in %s: %w", pvc.Namespace, err)
	}
	for i := range list.Items {
		vmi := &list.Items[i]
		if !instance.Final(vmi.Status.Phase) && vmi.Status.Phase != virtv1.Pending && instance.Uses(&vmi.Spec, pvc.Name) {
			return vmi.Name, nil
		}
	}
	return "", nil
}

const sector = 512

// size is what a claim requests, in whole sectors.
func size(pvc *corev1.PersistentVolumeClaim) int64 {
	bytes := pvc.Spec.Resources.Requests.Storage().Value()
	return (bytes + sector - 1) / sector * sector
}

// jobName names the making of a claim's volume; jobKey is its inverse, as far as the claim's name goes.
func jobName(pvc *corev1.PersistentVolumeClaim) string {
	return pvc.Namespace + "/" + pvc.Name + "/" + string(pvc.UID)
}

func jobKey(job string) types.NamespacedName {
	namespace, rest, _ := strings.Cut(job, "/")
	name, _, _ := strings.Cut(rest, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"slipway.dev/slipway/local/node/claim"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/volume"
)

// Guests copy the disks that they have open.
type Guests interface {
	// WriterOf names the instance whose guest writes to a volume.
	WriterOf(volume string) (types.UID, bool)
	// CopyDisk begins a copy, and says false when no guest writes to the volume.
	CopyDisk(ctx context.Context, volume, id, file string) (bool, error)
	CopyState(ctx context.Context, guest types.UID, id string) (instance.Copy, error)
	// CloseCopy ends a copy and closes its file, and says false when the guest's process is gone.
	CloseCopy(ctx context.Context, guest types.UID, id string) (bool, error)
}

// Deps are what the reconciler works with.
type Deps struct {
	Client    client.Client
	Reader    client.Reader // of contents: what was told must not come from an old cache
	Volumes   *volume.Store
	Snapshots *volume.Snapshots
	Guests    Guests
	Collect   func() error // removes base images that nothing needs any more
	Clock     clock.PassiveClock
	Recorder  events.EventRecorder
}

// Reconciler serves VolumeSnapshots.
type Reconciler struct {
	Deps
	jobs *job.Runner
}

// NewReconciler makes a reconciler.
func NewReconciler(d Deps, jobs *job.Runner) *Reconciler { return &Reconciler{Deps: d, jobs: jobs} }

// SetupWithManager watches snapshots, their classes and contents, the claims that they are of or fill, and the news from copies.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("node-snapshot").
		For(&snapshotv1.VolumeSnapshot{}).
		Watches(&snapshotv1.VolumeSnapshotContent{}, handler.EnqueueRequestsFromMapFunc(snapshotOf)).
		Watches(&snapshotv1.VolumeSnapshotClass{}, handler.EnqueueRequestsFromMapFunc(r.unbound)).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.snapshotsOf)).
		WatchesRawSource(source.Channel(r.jobs.Feed(mgr, newSnapshot), &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 2}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the snapshot controller: %w", err)
	}
	return nil
}

// Reconcile brings one snapshot a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vs := &snapshotv1.VolumeSnapshot{}
	if err := r.Client.Get(ctx, req.NamespacedName, vs); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("get VolumeSnapshot %s: %w", req, err)
	}
	result, err := r.step(ctx, vs)
	if apierrors.IsConflict(err) { // somebody else wrote in the meantime: look again
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	return result, err
}

func (r *Reconciler) step(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (ctrl.Result, error) {
	if !vs.DeletionTimestamp.IsZero() {
		if !slices.Contains(vs.Finalizers, boundProtection) {
			return ctrl.Result{}, nil
		}
		return r.release(ctx, vs)
	}
	class, err := r.class(ctx, vs)
	if err != nil || class == nil {
		return ctrl.Result{}, err
	}
	content, err := r.bind(ctx, vs, class)
	if errors.Is(err, errSource) {
		return ctrl.Result{RequeueAfter: lookAgain}, r.report(ctx, vs, content, state{err: err})
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	s, err := r.take(ctx, vs, content)
	if err != nil {
		s.err, s.again = err, lookAgain
	}
	if err := r.report(ctx, vs, content, s); err != nil {
		return ctrl.Result{}, err
	}
	if s.ready || s.lost {
		return ctrl.Result{}, r.letGo(ctx, vs)
	}
	return ctrl.Result{RequeueAfter: s.again}, nil
}

// How soon a snapshot is looked at again: one whose copy a guest writes, of which no event comes here, and one that could
// not be taken.
const (
	followEvery = 500 * time.Millisecond
	lookAgain   = 5 * time.Second
)

// class finds the snapshot's class, choosing the default one for a snapshot that names none. It is nil when the snapshot
// is not this node's to take.
func (r *Reconciler) class(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (*snapshotv1.VolumeSnapshotClass, error) {
	if vs.Spec.VolumeSnapshotClassName == nil {
		return r.defaultClass(ctx, vs)
	}
	class := &snapshotv1.VolumeSnapshotClass{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: *vs.Spec.VolumeSnapshotClassName}, class)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get VolumeSnapshotClass %s: %w", *vs.Spec.VolumeSnapshotClassName, err)
	}
	if class.Driver != claim.Provisioner {
		return nil, nil
	}
	return class, nil
}

func (r *Reconciler) defaultClass(ctx context.Context, vs *snapshotv1.VolumeSnapshot) (*snapshotv1.VolumeSnapshotClass, error) {
	var classes snapshotv1.VolumeSnapshotClassList
	if err := r.Client.List(ctx, &classes); err != nil {
		return nil, fmt.Errorf("list VolumeSnapshotClasses: %w", err)
	}
	for i := range classes.Items {
		class := &classes.Items[i]
		if class.Driver != claim.Provisioner || class.Annotations[DefaultClass] != "true" {
			continue
		}
		before := vs.DeepCopy()
		vs.Spec.VolumeSnapshotClassName = &class.Name
		if err := r.Client.Patch(ctx, vs, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return nil, fmt.Errorf("set the class of VolumeSnapshot %s/%s: %w", vs.Namespace, vs.Name, err)
		}
		return class, nil
	}
	return nil, nil
}

// sourceOf is the claim that a snapshot is of.
func sourceOf(vs *snapshotv1.VolumeSnapshot) string {
	return ptr.Deref(vs.Spec.Source.PersistentVolumeClaimName, "")
}

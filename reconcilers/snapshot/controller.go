package snapshot

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/image/wake"
	"slipway.dev/slipway/reconcilers/internal/census"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const controllerName = "virtualdisksnapshot"

// Freezer freezes and thaws the file systems of running guests.
type Freezer interface {
	// Freeze returns when they are frozen. They thaw by themselves after the
	// timeout. Freezing a frozen guest does nothing.
	Freeze(ctx context.Context, instance types.NamespacedName, timeout time.Duration) error
	// Thaw does nothing to a guest that is not frozen, or does not run.
	Thaw(ctx context.Context, instance types.NamespacedName) error
}

// Deps are the collaborators of the snapshot controller.
type Deps struct {
	// Freezer is the engine's. Nil means KubeVirt's subresources.
	Freezer Freezer
	Clock   clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
	// Registry takes the metrics of the kind; nil means none.
	Registry prometheus.Registerer
}

// SetupWithManager adds the controller of VirtualDiskSnapshot.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Freezer == nil {
		freezer, err := NewSubresources(mgr.GetConfig(), mgr.GetHTTPClient())
		if err != nil {
			return err
		}
		deps.Freezer = freezer
	}
	if err := index(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	c := mgr.GetClient()
	if err := census.Register(deps.Registry, c, counted()); err != nil {
		return err
	}
	r := reconciler(&engine{client: c, freezer: deps.Freezer, clock: deps.Clock}, flow.Deps{
		Client:   c,
		Recorder: mgr.GetEventRecorder(controllerName),
		Clock:    deps.Clock,
		Metrics:  deps.Metrics,
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha2.VirtualDiskSnapshot{}, builder.WithPredicates(wake.NotByStatus())).
		Owns(&snapshotv1.VolumeSnapshot{}).
		Watches(&v1alpha2.VirtualDisk{}, handler.EnqueueRequestsFromMapFunc(wakeByDisk(c))).
		Watches(&v1alpha2.VirtualImage{}, handler.EnqueueRequestsFromMapFunc(wakeByImage), builder.WithPredicates(imageUse())).
		Watches(&v1alpha2.ClusterVirtualImage{}, handler.EnqueueRequestsFromMapFunc(wakeByImage), builder.WithPredicates(imageUse())).
		Watches(&virtv1.VirtualMachineInstance{}, handler.EnqueueRequestsFromMapFunc(wakeByInstance(c)), builder.WithPredicates(guestChanged())).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller %s: %w", controllerName, err)
	}
	return nil
}

// engine does the steps.
type engine struct {
	client  client.Client
	freezer Freezer
	clock   clock.PassiveClock
}

// reconciler is the table of contents: what happens to a snapshot, in order.
func reconciler(e *engine, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualDiskSnapshot, *scope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualDiskSnapshot, *scope]{
		Name:      controllerName,
		Finalizer: finalizers.VirtualDiskSnapshotCleanup,
		New:       func() *v1alpha2.VirtualDiskSnapshot { return &v1alpha2.VirtualDiskSnapshot{} },
		Scope: func(snapshot *v1alpha2.VirtualDiskSnapshot) *scope {
			return &scope{snapshot: snapshot, old: *snapshot.Status.DeepCopy(), now: e.clock.Now()}
		},
		Steps: []flow.Step[*scope]{
			{Name: "observe", Do: e.observe},
			{Name: "users", Do: e.findUsers},
			{Name: "disk", Do: e.findDisk},
			{Name: "guest", Do: e.findGuest},
			{Name: "freeze", Do: e.freeze},
			{Name: "take", Do: e.take},
			{Name: "cut", Do: e.awaitCut},
			{Name: "thaw", Do: e.thaw},
			{Name: "copy", Do: e.awaitCopy},
		},
		Teardown: []flow.Step[*scope]{
			{Name: "observe", Do: e.observe},
			{Name: "users", Do: e.findUsers},
			{Name: "await-users", Do: e.awaitUsers},
			{Name: "disk", Do: e.findDiskIfThere},
			{Name: "guest", Do: e.findGuest},
			{Name: "thaw", Do: e.thaw},
			{Name: "volume", Do: e.drop},
		},
		Report: func(s *scope, result flow.Result) { s.snapshot.Status = statusOf(s, result) },
	}, deps)
}

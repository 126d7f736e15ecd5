package disk

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/clock"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/wake"
	"slipway.dev/slipway/reconcilers/internal/census"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

const controllerName = "virtualdisk"

// Deps are the collaborators of the disk controller.
type Deps struct {
	// Desk runs the imports. The caller adds it to the manager.
	Desk *intake.Desk
	// Shelf is DVCR.
	Shelf intake.Shelf
	// Secrets reads pull secrets and quotas; nil means the manager's API reader,
	// so that none of them is cached.
	Secrets client.Reader
	// SignedBy says who must have signed every container image: somebody of each.
	SignedBy []signatures.Trust
	Clock    clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
	// Registry takes the metrics of the kind; nil means none.
	Registry prometheus.Registerer
	// Classes are those that disks may have, and the one of disks that name none.
	Classes storageclass.Policy
	// Login lets CDI pull from DVCR. It is copied into the namespace of the disk
	// while that is filled.
	Login intake.LoginOf
	// Authority holds the certificates, in PEM, by which CDI trusts DVCR; empty
	// when it needs none.
	Authority []byte
}

// SetupWithManager adds the controller of VirtualDisk.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Secrets == nil {
		deps.Secrets = mgr.GetAPIReader()
	}
	if err := index(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	c := mgr.GetClient()
	if err := census.Register(deps.Registry, c, counted()); err != nil {
		return err
	}
	r := reconciler(newEngine(c, deps), flow.Deps{
		Client:   c,
		Recorder: mgr.GetEventRecorder(controllerName),
		Clock:    deps.Clock,
		Metrics:  deps.Metrics,
	})
	claimOwner := handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), &v1alpha2.VirtualDisk{})
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha2.VirtualDisk{}, builder.WithPredicates(wake.NotByStatus())).
		Owns(&cdiv1.DataVolume{}).
		Watches(&corev1.PersistentVolumeClaim{}, claimOwner).
		Watches(&v1alpha2.VirtualMachine{}, handler.EnqueueRequestsFromMapFunc(disksToWake), builder.WithPredicates(machineUse())).
		Watches(&v1alpha2.VirtualImage{}, enqueueBy(c, sourceIndex, imageKey)).
		Watches(&v1alpha2.ClusterVirtualImage{}, enqueueBy(c, sourceIndex, imageKey)).
		Watches(&v1alpha2.VirtualImage{}, handler.EnqueueRequestsFromMapFunc(diskToWake)).
		Watches(&v1alpha2.ClusterVirtualImage{}, handler.EnqueueRequestsFromMapFunc(diskToWake)).
		Watches(&v1alpha2.VirtualDiskSnapshot{}, enqueueBy(c, sourceIndex, imageKey)).
		Watches(&v1alpha2.VirtualDiskSnapshot{}, handler.EnqueueRequestsFromMapFunc(diskOfSnapshot)).
		Watches(&storagev1.StorageClass{}, enqueueUnfilled(c)).
		WatchesMetadata(&corev1.Secret{}, enqueueBy(c, secretIndex, secretKey)).
		WatchesRawSource(deps.Desk.Feed(controllerName)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller %s: %w", controllerName, err)
	}
	return nil
}

// engine does the steps.
type engine struct {
	client    client.Client
	secrets   client.Reader
	quotas    client.Reader
	desk      *intake.Desk
	shelf     intake.Shelf
	signedBy  []signatures.Trust
	clock     clock.PassiveClock
	classes   storageclass.Policy
	login     intake.LoginOf
	authority []byte
}

func newEngine(c client.Client, deps Deps) *engine {
	return &engine{
		client:    c,
		secrets:   deps.Secrets,
		quotas:    deps.Secrets,
		desk:      deps.Desk,
		shelf:     deps.Shelf,
		signedBy:  deps.SignedBy,
		clock:     deps.Clock,
		classes:   deps.Classes,
		login:     deps.Login,
		authority: deps.Authority,
	}
}

// reconciler is the table of contents: what happens to a disk, in order.
func reconciler(e *engine, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualDisk, *scope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualDisk, *scope]{
		Name:      controllerName,
		Finalizer: finalizers.VirtualDiskCleanup,
		New:       func() *v1alpha2.VirtualDisk { return &v1alpha2.VirtualDisk{} },
		Scope: func(vd *v1alpha2.VirtualDisk) *scope {
			return &scope{disk: vd, old: *vd.Status.DeepCopy(), now: e.clock.Now()}
		},
		Steps: []flow.Step[*scope]{
			{Name: "observe", Do: e.observe},
			{Name: "machines", Do: e.findMachines},
			{Name: "snapshots", Do: e.findSnapshots},
			{Name: "source", Do: e.resolveSource},
			{Name: "class", Do: e.chooseClass},
			{Name: "restart", Do: e.restart},
			{Name: "prerequisites", Do: e.awaitPrerequisites},
			{Name: "import", Do: e.importContent},
			{Name: "size", Do: e.decideSize},
			{Name: "volume", Do: e.provisionVolume},
			{Name: "keep", Do: e.keepClaim},
			{Name: "resize", Do: e.resizeVolume},
		},
		Teardown: []flow.Step[*scope]{
			{Name: "observe", Do: e.observe},
			{Name: "machines", Do: e.findMachines},
			{Name: "snapshots", Do: e.findSnapshots},
			{Name: "await-machines", Do: e.awaitMachines},
			{Name: "await-snapshots", Do: e.awaitSnapshots},
			{Name: "content", Do: e.dropContent},
			{Name: "volumes", Do: e.dropVolumes},
		},
		Report: func(s *scope, result flow.Result) { s.disk.Status = statusOf(s, result) },
	}, deps)
}

package machine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	kubevirtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	// controllerName is also the event source.
	controllerName = "virtualmachine"
	// workers is how many machines are reconciled at once.
	workers = 4
	// fieldManager owns what is applied to KubeVirt's objects.
	fieldManager = client.FieldOwner("slipway-machine")
)

// Registry says how nodes pull images from DVCR.
type Registry struct {
	// Address of the registry, host and port.
	Address string
	// Login is what may read the images of a namespace.
	Login intake.LoginOf
}

// Deps are the collaborators of the controller.
type Deps struct {
	Clock clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
	// Registry holds the images. Without an address, images are pulled with the
	// nodes' own credentials.
	Registry Registry
	// EndOnReset makes a guest that resets itself start anew, with the changes
	// that waited for it. KubeVirt needs its feature gate RebootPolicy for that.
	EndOnReset bool
	// Secrets reads first-boot data; nil means the manager's API reader, so that
	// no Secret is cached.
	Secrets client.Reader
}

// SetupWithManager adds the controller.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Secrets == nil {
		deps.Secrets = mgr.GetAPIReader()
	}
	if err := index(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	c := mgr.GetClient()
	r := reconciler(newEngineer(c, deps), flow.Deps{
		Client:   c,
		Recorder: mgr.GetEventRecorder(controllerName),
		Clock:    deps.Clock,
		Metrics:  deps.Metrics,
	})
	by := func(field string, key func(client.Object) string) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(machinesBy(c, field, key))
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		For(&v1alpha2.VirtualMachine{}, builder.WithPredicates(specOrMetadata())).
		Watches(&kubevirtv1.VirtualMachine{}, &handler.EnqueueRequestForObject{}).
		Watches(&kubevirtv1.VirtualMachineInstance{}, &handler.EnqueueRequestForObject{}).
		Watches(&v1alpha2.VirtualMachineClass{}, by(classIndex, nameKey)).
		Watches(&v1alpha2.VirtualMachineIPAddress{}, by(addressIndex, namespacedKey)).
		Watches(&v1alpha2.VirtualDisk{}, by(deviceIndex, deviceKey(v1alpha2.DiskDevice))).
		Watches(&v1alpha2.VirtualImage{}, by(deviceIndex, deviceKey(v1alpha2.ImageDevice))).
		Watches(&v1alpha2.ClusterVirtualImage{}, by(deviceIndex, deviceKey(v1alpha2.ClusterImageDevice))).
		WatchesMetadata(&corev1.Secret{}, by(secretIndex, namespacedKey)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller %s: %w", controllerName, err)
	}
	return nil
}

// engineer does the steps.
type engineer struct {
	client     client.Client
	secrets    client.Reader
	clock      clock.PassiveClock
	registry   Registry
	endOnReset bool
}

func newEngineer(c client.Client, deps Deps) *engineer {
	return &engineer{client: c, secrets: deps.Secrets, clock: deps.Clock, registry: deps.Registry, endOnReset: deps.EndOnReset}
}

// reconciler is the table of contents: what happens to a machine, in order. The
// steps that look at dependencies never stop the run, so that every condition is
// told at once.
func reconciler(e *engineer, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualMachine, *scope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualMachine, *scope]{
		Name:      controllerName,
		Finalizer: finalizers.VirtualMachineCleanup,
		New:       func() *v1alpha2.VirtualMachine { return &v1alpha2.VirtualMachine{} },
		Scope:     func(vm *v1alpha2.VirtualMachine) *scope { return &scope{vm: vm, now: e.clock.Now()} },
		Steps: []flow.Step[*scope]{
			{Name: "observe", Do: e.observe},
			{Name: "class", Do: e.resolveClass},
			{Name: "address", Do: e.resolveAddress},
			{Name: "disks", Do: e.resolveDevices},
			{Name: "provisioning", Do: e.resolveProvisioning},
			{Name: "size", Do: e.checkSize},
			{Name: "build", Do: e.build},
			{Name: "apply", Do: e.apply},
			{Name: "metadata", Do: e.propagate},
			{Name: "power", Do: e.syncPower},
		},
		Teardown: []flow.Step[*scope]{
			{Name: "observe", Do: e.observe},
			{Name: "remove", Do: e.remove},
		},
		Report: report,
	}, deps)
}

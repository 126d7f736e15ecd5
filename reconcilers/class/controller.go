package class

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// controllerName is also the event source.
const controllerName = "virtualmachineclass"

// machineIndex finds machines by the class they name.
const machineIndex = "class.machinesOfClass"

// Deps are the collaborators of the controller.
type Deps struct {
	Clock clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
	// SingleNode is the name of the one machine that runs everything when there
	// are no Node objects; empty on a cluster.
	SingleNode string
	// Namespace exists and holds the marker that says that the class "generic" was made.
	Namespace string
}

// SetupWithManager adds the controller and the creation of the class "generic".
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha2.VirtualMachine{}, machineIndex, classOfMachine); err != nil {
		return fmt.Errorf("index machines by class: %w", err)
	}
	if err := mgr.Add(&generic{client: mgr.GetClient(), reader: mgr.GetAPIReader(), namespace: deps.Namespace}); err != nil {
		return fmt.Errorf("add the creation of class %s: %w", genericName, err)
	}
	r := reconciler(observer{client: mgr.GetClient(), singleNode: deps.SingleNode, clock: deps.Clock}, flow.Deps{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder(controllerName),
		Clock:    deps.Clock,
		Metrics:  deps.Metrics,
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha2.VirtualMachineClass{}).
		Watches(&v1alpha2.VirtualMachine{}, handler.EnqueueRequestsFromMapFunc(requestForClass)).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(everyClass(mgr.GetClient()))).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller %s: %w", controllerName, err)
	}
	return nil
}

func reconciler(o observer, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualMachineClass, *scope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualMachineClass, *scope]{
		Name:      controllerName,
		Finalizer: finalizers.VirtualMachineClassCleanup,
		New:       func() *v1alpha2.VirtualMachineClass { return &v1alpha2.VirtualMachineClass{} },
		Scope:     func(c *v1alpha2.VirtualMachineClass) *scope { return &scope{class: c, now: o.clock.Now()} },
		Steps: []flow.Step[*scope]{
			{Name: "machines", Do: o.findMachines},
			{Name: "nodes", Do: o.findNodes},
			{Name: "features", Do: o.discoverFeatures},
		},
		Teardown: []flow.Step[*scope]{
			{Name: "machines", Do: o.findMachines},
			{Name: "release", Do: release},
		},
		Report: report,
	}, deps)
}

func classOfMachine(obj client.Object) []string {
	vm, ok := obj.(*v1alpha2.VirtualMachine)
	if !ok || vm.Spec.VirtualMachineClassName == "" {
		return nil
	}
	return []string{vm.Spec.VirtualMachineClassName}
}

func requestForClass(_ context.Context, obj client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range classOfMachine(obj) {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	return requests
}

func everyClass(c client.Client) handler.MapFunc {
	return func(ctx context.Context, _ client.Object) []reconcile.Request {
		var classes v1alpha2.VirtualMachineClassList
		if err := c.List(ctx, &classes); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list classes for a changed node")
			return nil
		}
		var requests []reconcile.Request
		for i := range classes.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&classes.Items[i])})
		}
		return requests
	}
}

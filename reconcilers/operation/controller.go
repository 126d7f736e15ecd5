package operation

import (
	"context"
	"fmt"

	"k8s.io/utils/clock"
	kubevirtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	// controllerName is also the event source.
	controllerName = "virtualmachineoperation"
	fieldManager   = client.FieldOwner("slipway-operation")

	// machineIndex finds operations by the machine they act on.
	machineIndex = "operation.ofMachine"
)

// Deps are the collaborators of the controller.
type Deps struct {
	Clock clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
}

// SetupWithManager adds the controller.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha2.VirtualMachineOperation{}, machineIndex, machineOf); err != nil {
		return fmt.Errorf("index operations by machine: %w", err)
	}
	r := reconciler(operator{client: mgr.GetClient(), clock: deps.Clock}, flow.Deps{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder(controllerName),
		Clock:    deps.Clock,
		Metrics:  deps.Metrics,
	})
	wake := handler.EnqueueRequestsFromMapFunc(operationsOn(mgr.GetClient()))
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha2.VirtualMachineOperation{}).
		Owns(&kubevirtv1.VirtualMachineInstanceMigration{}).
		Watches(&v1alpha2.VirtualMachine{}, wake).
		Watches(&kubevirtv1.VirtualMachine{}, wake). // its requests are settled last
		Watches(&kubevirtv1.VirtualMachineInstance{}, wake).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller %s: %w", controllerName, err)
	}
	return nil
}

func reconciler(o operator, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualMachineOperation, *scope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualMachineOperation, *scope]{
		Name:  controllerName,
		New:   func() *v1alpha2.VirtualMachineOperation { return &v1alpha2.VirtualMachineOperation{} },
		Scope: func(op *v1alpha2.VirtualMachineOperation) *scope { return &scope{op: op, now: o.clock.Now()} },
		Steps: []flow.Step[*scope]{
			{Name: "finished", Do: skipFinished},
			{Name: "machine", Do: o.findMachine},
			{Name: "turn", Do: o.takeTurn},
			{Name: "accept", Do: o.accept},
			{Name: "signal", Do: o.signal},
			{Name: "follow", Do: o.follow},
		},
		Report: report,
	}, deps)
}

func machineOf(obj client.Object) []string {
	op, ok := obj.(*v1alpha2.VirtualMachineOperation)
	if !ok {
		return nil
	}
	return []string{op.Namespace + "/" + op.Spec.VirtualMachineName}
}

// operationsOn wakes the operations on a machine that have not ended. Machines,
// KubeVirt's and their instances have the same name.
func operationsOn(c client.Client) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		var operations v1alpha2.VirtualMachineOperationList
		key := client.ObjectKeyFromObject(obj).String()
		if err := c.List(ctx, &operations, client.MatchingFields{machineIndex: key}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list operations of a changed machine", "machine", key)
			return nil
		}
		var requests []reconcile.Request
		for i := range operations.Items {
			if op := &operations.Items[i]; !finished(op) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(op)})
			}
		}
		return requests
	}
}

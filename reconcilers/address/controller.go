package address

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/address/pool"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Names of the controllers, which are also the event sources.
const (
	addressController = "virtualmachineipaddress"
	leaseController   = "virtualmachineipaddresslease"
)

// DefaultRange is where addresses come from when no range is configured.
const DefaultRange = "10.66.10.0/24"

// DefaultRetention is how long the lease of a deleted address is kept.
const DefaultRetention = 10 * time.Minute

// Deps are the collaborators of the controllers.
type Deps struct {
	Clock clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
	// Ranges in CIDR notation, in the order in which they are used; empty means
	// DefaultRange.
	Ranges []string
	// Retention of the lease of a deleted address; zero means DefaultRetention.
	Retention time.Duration
}

// SetupWithManager adds the controllers of addresses and leases.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if len(deps.Ranges) == 0 {
		deps.Ranges = []string{DefaultRange}
	}
	if deps.Retention == 0 {
		deps.Retention = DefaultRetention
	}
	addresses, err := pool.New(deps.Ranges)
	if err != nil {
		return fmt.Errorf("set up addresses: %w", err)
	}
	if err := index(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if err := addAddresses(mgr, deps, addresses); err != nil {
		return err
	}
	return addLeases(mgr, deps)
}

func addAddresses(mgr ctrl.Manager, deps Deps, addresses *pool.Pool) error {
	b := binder{client: mgr.GetClient(), reader: mgr.GetAPIReader(), clock: deps.Clock, pool: addresses}
	err := ctrl.NewControllerManagedBy(mgr).
		Named(addressController).
		For(&v1alpha2.VirtualMachineIPAddress{}).
		Watches(&v1alpha2.VirtualMachine{}, handler.EnqueueRequestsFromMapFunc(requestsForMachine)).
		Watches(&v1alpha2.VirtualMachineIPAddressLease{}, handler.EnqueueRequestsFromMapFunc(requestsForLease(mgr.GetClient()))).
		Complete(addressReconciler(b, flowDeps(mgr, addressController, deps)))
	if err != nil {
		return fmt.Errorf("add controller %s: %w", addressController, err)
	}
	return nil
}

func addLeases(mgr ctrl.Manager, deps Deps) error {
	k := keeper{client: mgr.GetClient(), clock: deps.Clock, retention: deps.Retention}
	err := ctrl.NewControllerManagedBy(mgr).
		Named(leaseController).
		For(&v1alpha2.VirtualMachineIPAddressLease{}).
		Watches(&v1alpha2.VirtualMachineIPAddress{}, handler.EnqueueRequestsFromMapFunc(leasesOfAddress(mgr.GetClient()))).
		Complete(leaseReconciler(k, flowDeps(mgr, leaseController, deps)))
	if err != nil {
		return fmt.Errorf("add controller %s: %w", leaseController, err)
	}
	return nil
}

func flowDeps(mgr ctrl.Manager, name string, deps Deps) flow.Deps {
	return flow.Deps{Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder(name), Clock: deps.Clock, Metrics: deps.Metrics}
}

func addressReconciler(b binder, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualMachineIPAddress, *scope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualMachineIPAddress, *scope]{
		Name:      addressController,
		Finalizer: finalizers.VirtualMachineIPAddressCleanup,
		New:       func() *v1alpha2.VirtualMachineIPAddress { return &v1alpha2.VirtualMachineIPAddress{} },
		Scope:     func(a *v1alpha2.VirtualMachineIPAddress) *scope { return &scope{address: a, now: b.clock.Now()} },
		Steps: []flow.Step[*scope]{
			{Name: "machine", Do: b.findMachine},
			{Name: "protect", Do: b.protect},
			{Name: "lease", Do: b.bind},
		},
		Teardown: []flow.Step[*scope]{
			{Name: "machine", Do: b.findMachine},
			{Name: "protect", Do: b.protect},
			{Name: "release", Do: release},
		},
		Report: report,
	}, deps)
}

func leaseReconciler(k keeper, deps flow.Deps) *flow.Reconciler[*v1alpha2.VirtualMachineIPAddressLease, *leaseScope] {
	return flow.New(flow.Definition[*v1alpha2.VirtualMachineIPAddressLease, *leaseScope]{
		Name: leaseController,
		New:  func() *v1alpha2.VirtualMachineIPAddressLease { return &v1alpha2.VirtualMachineIPAddressLease{} },
		Scope: func(l *v1alpha2.VirtualMachineIPAddressLease) *leaseScope {
			return &leaseScope{lease: l, now: k.clock.Now()}
		},
		Steps: []flow.Step[*leaseScope]{
			{Name: "holder", Do: k.findHolder},
			{Name: "expire", Do: k.expire},
		},
		Report: reportLease,
		Every:  k.untilExpiry,
	}, deps)
}

package address

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmipcondition"
	"slipway.dev/slipway/reconcilers/address/pool"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

type world struct {
	client    client.Client
	clock     *clocktesting.FakePassiveClock
	recorder  *flowtest.Recorder
	addresses reconcile.Reconciler
	leases    reconcile.Reconciler
}

func newWorld(t *testing.T, ranges string, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha2.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	addresses, err := pool.New([]string{ranges})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		clock:    clocktesting.NewFakePassiveClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)),
		recorder: &flowtest.Recorder{},
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha2.VirtualMachineIPAddress{}, &v1alpha2.VirtualMachineIPAddressLease{}).
		WithIndex(&v1alpha2.VirtualMachine{}, machineIndex, addressesOfMachine).
		WithIndex(&v1alpha2.VirtualMachineIPAddressLease{}, holderIndex, holdersOfLease).
		Build()
	deps := flow.Deps{Client: w.client, Recorder: w.recorder, Clock: w.clock}
	w.addresses = addressReconciler(binder{client: w.client, reader: w.client, clock: w.clock, pool: addresses}, deps)
	w.leases = leaseReconciler(keeper{client: w.client, clock: w.clock, retention: DefaultRetention}, deps)
	return w
}

func auto(name string) *v1alpha2.VirtualMachineIPAddress {
	return &v1alpha2.VirtualMachineIPAddress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "f00d"},
		Spec:       v1alpha2.VirtualMachineIPAddressSpec{Type: v1alpha2.IPAddressAuto},
	}
}

func static(name, ip string) *v1alpha2.VirtualMachineIPAddress {
	address := auto(name)
	address.Spec = v1alpha2.VirtualMachineIPAddressSpec{Type: v1alpha2.IPAddressStatic, StaticIP: ip}
	return address
}

func leaseOf(ip, name string) *v1alpha2.VirtualMachineIPAddressLease {
	return newLease(auto(name), netip.MustParseAddr(ip))
}

func machine(name, address string, age time.Duration) *v1alpha2.VirtualMachine {
	created := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC).Add(-age)
	return &v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(created)},
		Spec:       v1alpha2.VirtualMachineSpec{VirtualMachineIPAddressName: address},
	}
}

type seen struct {
	Phase           v1alpha2.AddressPhase
	IP, Machine     string
	Bound, Attached string
}

func see(a *v1alpha2.VirtualMachineIPAddress) seen {
	reason := func(conditionType string) string {
		c := meta.FindStatusCondition(a.Status.Conditions, conditionType)
		if c == nil {
			return ""
		}
		return string(c.Status) + "/" + c.Reason
	}
	return seen{a.Status.Phase, a.Status.Address, a.Status.VirtualMachineName, reason(vmipcondition.BoundType), reason(vmipcondition.AttachedType)}
}

func TestAddress(t *testing.T) {
	const (
		free, used = "False/VirtualMachineNotFound", "True/Attached"
		bound      = "True/Bound"
	)
	tests := map[string]struct {
		address *v1alpha2.VirtualMachineIPAddress
		others  []client.Object
		want    seen
	}{
		"auto": {
			address: auto("web"),
			want:    seen{v1alpha2.AddressBound, "10.66.10.1", "", bound, free},
		},
		"auto after others": {
			address: auto("web"),
			others:  []client.Object{leaseOf("10.66.10.1", "other")},
			want:    seen{v1alpha2.AddressBound, "10.66.10.2", "", bound, free},
		},
		"auto finds the lease of an earlier run": {
			address: auto("web"),
			others:  []client.Object{leaseOf("10.66.10.3", "web")},
			want:    seen{v1alpha2.AddressBound, "10.66.10.3", "", bound, free},
		},
		"static": {
			address: static("web", "10.66.10.5"),
			want:    seen{v1alpha2.AddressBound, "10.66.10.5", "", bound, free},
		},
		"static out of range": {
			address: static("web", "10.66.11.5"),
			want:    seen{v1alpha2.AddressPending, "", "", "False/VirtualMachineIPAddressIsOutOfTheValidRange", free},
		},
		"static that is no address": {
			address: static("web", "ten"),
			want:    seen{v1alpha2.AddressPending, "", "", "False/VirtualMachineIPAddressIsOutOfTheValidRange", free},
		},
		"static that another has": {
			address: static("web", "10.66.10.5"),
			others:  []client.Object{leaseOf("10.66.10.5", "other")},
			want:    seen{v1alpha2.AddressPending, "", "", "False/VirtualMachineIPAddressLeaseAlreadyExists", free},
		},
		"no address left": {
			address: auto("web"),
			others: []client.Object{
				leaseOf("10.66.10.1", "a"), leaseOf("10.66.10.2", "b"), leaseOf("10.66.10.3", "c"),
				leaseOf("10.66.10.4", "d"), leaseOf("10.66.10.5", "e"), leaseOf("10.66.10.6", "f"),
			},
			want: seen{v1alpha2.AddressPending, "", "", "False/VirtualMachineIPAddressLeaseNotFound", free},
		},
		"used by the oldest machine": {
			address: auto("web"),
			others:  []client.Object{machine("young", "web", time.Hour), machine("old", "web", 2*time.Hour)},
			want:    seen{v1alpha2.AddressAttached, "10.66.10.1", "old", bound, used},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "10.66.10.0/29", append(test.others, test.address)...)
			flowtest.Settle(t, w.client, w.addresses, test.address, 5)
			if diff := cmp.Diff(test.want, see(test.address)); diff != "" {
				t.Errorf("address (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddressStaysWithItsMachine(t *testing.T) {
	address := auto("web")
	address.Status.VirtualMachineName = "young"
	w := newWorld(t, DefaultRange, address, machine("young", "web", time.Hour), machine("old", "web", 2*time.Hour))
	flowtest.Settle(t, w.client, w.addresses, address, 5)
	if address.Status.VirtualMachineName != "young" {
		t.Errorf("the address went to %q", address.Status.VirtualMachineName)
	}
}

func TestUsedAddressIsNotDeleted(t *testing.T) {
	address, vm := auto("web"), machine("vm", "web", 0)
	w := newWorld(t, DefaultRange, address, vm)
	flowtest.Settle(t, w.client, w.addresses, address, 5)
	remove(t, w.client, address)
	flowtest.Settle(t, w.client, w.addresses, address, 5)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(address), address); err != nil {
		t.Fatalf("the address went although a machine uses it: %v", err)
	}
	remove(t, w.client, vm)
	for range 3 {
		if _, err := flowtest.Reconcile(t, w.client, w.addresses, address); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(address), address); !apierrors.IsNotFound(err) {
		t.Errorf("the address stays without a machine: %v", err)
	}
}

func TestLeaseIsKeptForAWhile(t *testing.T) {
	address, lease := auto("web"), leaseOf("10.66.10.1", "web")
	w := newWorld(t, DefaultRange, address, lease)
	flowtest.Settle(t, w.client, w.leases, lease, 5)
	if lease.Status.Phase != v1alpha2.LeaseBound {
		t.Fatalf("phase %s with a holder", lease.Status.Phase)
	}
	remove(t, w.client, address)
	result := flowtest.Settle(t, w.client, w.leases, lease, 5)
	if lease.Status.Phase != v1alpha2.LeaseReleased || result.RequeueAfter != DefaultRetention {
		t.Fatalf("phase %s, again after %s", lease.Status.Phase, result.RequeueAfter)
	}
	w.clock.SetTime(w.clock.Now().Add(DefaultRetention - time.Second))
	flowtest.Settle(t, w.client, w.leases, lease, 5)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil {
		t.Fatalf("the lease went early: %v", err)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Second))
	if _, err := flowtest.Reconcile(t, w.client, w.leases, lease); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); !apierrors.IsNotFound(err) {
		t.Errorf("the lease stays: %v", err)
	}
}

func TestSameOwnerGetsItsLeaseBack(t *testing.T) {
	lease := leaseOf("10.66.10.9", "web")
	lease.Status.Phase = v1alpha2.LeaseReleased
	address := auto("web")
	w := newWorld(t, DefaultRange, lease, address)
	flowtest.Settle(t, w.client, w.addresses, address, 5)
	flowtest.Settle(t, w.client, w.leases, lease, 5)
	if address.Status.Address != "10.66.10.9" || lease.Status.Phase != v1alpha2.LeaseBound {
		t.Errorf("address %s, lease %s", address.Status.Address, lease.Status.Phase)
	}
}

func TestBindingIsAnEvent(t *testing.T) {
	address := auto("web")
	w := newWorld(t, DefaultRange, address)
	flowtest.Settle(t, w.client, w.addresses, address, 5)
	want := []string{"Normal Bound bound to lease ip-10-66-10-1", "Normal IPAddressHasBeenAllocated allocated 10.66.10.1"}
	if diff := cmp.Diff(want, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func remove(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	if err := c.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

package address

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/labels"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmipcondition"
	"slipway.dev/slipway/reconcilers/address/pool"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	reasonReading    = "ReadFailed"
	reasonWriting    = "WriteFailed"
	reasonProtecting = "Protecting"
	eventBound       = "Bound"
	eventAllocated   = "IPAddressHasBeenAllocated"
)

// binder finds or takes the lease of an address.
type binder struct {
	client client.Client
	// reader reads past the cache.
	reader client.Reader
	clock  clock.PassiveClock
	pool   *pool.Pool
}

// bind makes the lease that the address holds, the way a lock is taken: by
// creating an object whose name is the IP address.
func (b binder) bind(ctx context.Context, s *scope) flow.Outcome {
	held, err := b.held(ctx, s.address)
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	if held != nil {
		return b.keep(s, held)
	}
	if s.address.Spec.Type == v1alpha2.IPAddressStatic {
		return b.takeStatic(ctx, s)
	}
	return b.takeAny(ctx, s)
}

// held is the lease that names this address, if there is one.
func (b binder) held(ctx context.Context, address *v1alpha2.VirtualMachineIPAddress) (*v1alpha2.VirtualMachineIPAddressLease, error) {
	var leases v1alpha2.VirtualMachineIPAddressLeaseList
	key := client.ObjectKeyFromObject(address).String()
	if err := b.client.List(ctx, &leases, client.MatchingFields{holderIndex: key}); err != nil {
		return nil, fmt.Errorf("list leases of address %s: %w", key, err)
	}
	for i := range leases.Items {
		if wanted(address, &leases.Items[i]) {
			return &leases.Items[i], nil
		}
	}
	return nil, nil
}

// wanted tells whether a lease is the one that the address asks for: any for
// Auto, as long as the address has none yet.
func wanted(address *v1alpha2.VirtualMachineIPAddress, lease *v1alpha2.VirtualMachineIPAddressLease) bool {
	ip, err := pool.LeaseAddress(lease.Name)
	if err != nil {
		return false
	}
	if address.Spec.Type == v1alpha2.IPAddressStatic {
		return ip.String() == address.Spec.StaticIP
	}
	return address.Status.Address == "" || address.Status.Address == ip.String()
}

func (b binder) keep(s *scope, lease *v1alpha2.VirtualMachineIPAddressLease) flow.Outcome {
	if !lease.DeletionTimestamp.IsZero() {
		return flow.Wait(vmipcondition.VirtualMachineIPAddressLeaseNotReady, 0, "lease %s is being deleted; a new one follows", lease.Name)
	}
	ip, err := pool.LeaseAddress(lease.Name)
	if err != nil {
		return flow.Stall(vmipcondition.VirtualMachineIPAddressLeaseNotReady, "%s: delete the lease", err)
	}
	s.ip = ip.String()
	return flow.Done()
}

func (b binder) takeStatic(ctx context.Context, s *scope) flow.Outcome {
	ip, err := netip.ParseAddr(s.address.Spec.StaticIP)
	if err != nil || !b.pool.Contains(ip) {
		return flow.Stall(vmipcondition.VirtualMachineIPAddressIsOutOfTheValidRange,
			"spec.staticIP %q is not an address of %s: make a new address with another IP", s.address.Spec.StaticIP, b.pool)
	}
	return b.take(ctx, s, ip)
}

// takeAny takes the address that it had before, or the next free one. A lease
// that the cache does not know yet makes the creation fail; the next address is
// tried then.
func (b binder) takeAny(ctx context.Context, s *scope) flow.Outcome {
	if before, err := netip.ParseAddr(s.address.Status.Address); err == nil {
		return b.take(ctx, s, before)
	}
	taken, err := b.taken(ctx)
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	for {
		ip, err := b.pool.Next(func(a netip.Addr) bool { return taken[pool.LeaseName(a)] })
		if err != nil {
			return flow.Wait(vmipcondition.VirtualMachineIPAddressLeaseNotFound, 0, "%s: delete an address or add a range", err)
		}
		outcome := b.take(ctx, s, ip)
		if outcome.Reason() != vmipcondition.VirtualMachineIPAddressLeaseAlreadyExists {
			return outcome
		}
		taken[pool.LeaseName(ip)] = true
	}
}

func (b binder) taken(ctx context.Context) (map[string]bool, error) {
	var leases v1alpha2.VirtualMachineIPAddressLeaseList
	if err := b.client.List(ctx, &leases); err != nil {
		return nil, fmt.Errorf("list address leases: %w", err)
	}
	taken := map[string]bool{}
	for i := range leases.Items {
		taken[leases.Items[i].Name] = true
	}
	return taken, nil
}

// take creates the lease of one IP address.
func (b binder) take(ctx context.Context, s *scope, ip netip.Addr) flow.Outcome {
	lease := newLease(s.address, ip)
	err := b.client.Create(ctx, lease)
	if apierrors.IsAlreadyExists(err) {
		return b.meet(ctx, s, ip)
	}
	if err != nil {
		return flow.Fail(reasonWriting, fmt.Errorf("create lease %s: %w", lease.Name, err))
	}
	s.ip = ip.String()
	flow.Emit(ctx, eventBound, "bound to lease %s", lease.Name)
	flow.Emit(ctx, eventAllocated, "allocated %s", ip)
	return flow.Done()
}

// meet looks at a lease that was there already: it may be our own, from a run
// that ended before the cache saw it.
func (b binder) meet(ctx context.Context, s *scope, ip netip.Addr) flow.Outcome {
	lease := &v1alpha2.VirtualMachineIPAddressLease{}
	if err := b.reader.Get(ctx, client.ObjectKey{Name: pool.LeaseName(ip)}, lease); err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("get lease of %s: %w", ip, err))
	}
	if holder(lease) == client.ObjectKeyFromObject(s.address).String() {
		return b.keep(s, lease)
	}
	if s.address.Status.Address != "" {
		return flow.Wait(vmipcondition.VirtualMachineIPAddressLeaseLost, 0, "%s was taken by address %q: delete this address and make a new one", ip, holder(lease))
	}
	return flow.Wait(vmipcondition.VirtualMachineIPAddressLeaseAlreadyExists, 0, "%s is leased to address %q: use another IP or delete that address", ip, holder(lease))
}

func newLease(address *v1alpha2.VirtualMachineIPAddress, ip netip.Addr) *v1alpha2.VirtualMachineIPAddressLease {
	return &v1alpha2.VirtualMachineIPAddressLease{
		ObjectMeta: metav1.ObjectMeta{
			Name:   pool.LeaseName(ip),
			Labels: map[string]string{labels.VirtualMachineIPAddressUID: string(address.UID)},
		},
		Spec: v1alpha2.VirtualMachineIPAddressLeaseSpec{
			VirtualMachineIPAddressRef: &v1alpha2.AddressRef{Namespace: address.Namespace, Name: address.Name},
		},
	}
}

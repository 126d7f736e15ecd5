package address

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmiplcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// again is how soon a run is repeated whose object is outdated.
const again = time.Millisecond

// keeper keeps leases for their holders, and for a while after those are gone.
type keeper struct {
	client    client.Client
	clock     clock.PassiveClock
	retention time.Duration
}

func (k keeper) findHolder(ctx context.Context, s *leaseScope) flow.Outcome {
	ref := s.lease.Spec.VirtualMachineIPAddressRef
	if ref == nil {
		return flow.Done()
	}
	address := &v1alpha2.VirtualMachineIPAddress{}
	err := k.client.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, address)
	if apierrors.IsNotFound(err) {
		return flow.Done()
	}
	if err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("get address %s/%s: %w", ref.Namespace, ref.Name, err))
	}
	s.held = wanted(address, s.lease)
	return flow.Done()
}

// expire deletes a lease that nobody has held for the time of retention.
func (k keeper) expire(ctx context.Context, s *leaseScope) flow.Outcome {
	if k.left(s) > 0 {
		return flow.Done()
	}
	precondition := client.Preconditions{UID: &s.lease.UID, ResourceVersion: &s.lease.ResourceVersion}
	err := k.client.Delete(ctx, s.lease, precondition)
	if apierrors.IsConflict(err) {
		return flow.Wait(reasonWriting, again, "the lease was changed meanwhile")
	}
	if client.IgnoreNotFound(err) != nil {
		return flow.Fail(reasonWriting, fmt.Errorf("delete lease %s: %w", s.lease.Name, err))
	}
	return flow.Done()
}

// left is how long the lease is still kept; a held lease is kept for good, which
// counts as the whole time.
func (k keeper) left(s *leaseScope) time.Duration {
	released := meta.FindStatusCondition(s.lease.Status.Conditions, vmiplcondition.BoundType)
	if s.held || released == nil || released.Reason != vmiplcondition.Released {
		return k.retention
	}
	return k.retention - s.now.Sub(released.LastTransitionTime.Time)
}

func (k keeper) untilExpiry(s *leaseScope) time.Duration {
	if s.held {
		return 0
	}
	return max(k.left(s), again)
}

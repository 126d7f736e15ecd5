package address

import (
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmipcondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmiplcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// report writes the address's status from the scope.
func report(s *scope, result flow.Result) {
	status := &s.address.Status
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.address.Generation, Now: s.now}
	status.ObservedGeneration = s.address.Generation
	status.VirtualMachineName = s.machine
	reportUse(conditions, s)
	if !s.address.DeletionTimestamp.IsZero() {
		return
	}
	if s.ip == "" {
		status.Phase = v1alpha2.AddressPending
		conditions.False(vmipcondition.BoundType, result.Outcome.Reason(), result.Outcome.Message())
		return
	}
	status.Address = s.ip
	conditions.True(vmipcondition.BoundType, vmipcondition.Bound, "")
	status.Phase = v1alpha2.AddressBound
	if s.machine != "" {
		status.Phase = v1alpha2.AddressAttached
	}
}

func reportUse(c flow.Conditions, s *scope) {
	if s.machine == "" {
		c.False(vmipcondition.AttachedType, vmipcondition.VirtualMachineNotFound, "no machine uses the address")
		return
	}
	c.True(vmipcondition.AttachedType, vmipcondition.Attached, "machine "+s.machine+" uses the address")
}

// reportLease writes the lease's status from the scope. The time at which the
// condition turned is the time from which the lease is retained.
func reportLease(s *leaseScope, result flow.Result) {
	if result.Outcome.IsFailed() {
		return
	}
	status := &s.lease.Status
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.lease.Generation, Now: s.now}
	status.ObservedGeneration = s.lease.Generation
	if s.held {
		status.Phase = v1alpha2.LeaseBound
		conditions.True(vmiplcondition.BoundType, vmiplcondition.Bound, "")
		return
	}
	status.Phase = v1alpha2.LeaseReleased
	conditions.False(vmiplcondition.BoundType, vmiplcondition.Released, "the address that held the lease is gone")
}

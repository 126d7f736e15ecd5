package class

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmclasscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// report writes the class's status from the scope.
func report(s *scope, result flow.Result) {
	status := &s.class.Status
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.class.Generation, Now: s.now}
	status.ObservedGeneration = s.class.Generation
	reportUse(conditions, s)
	if !s.class.DeletionTimestamp.IsZero() {
		status.Phase = v1alpha2.ClassTerminating
		return
	}
	if result.Outcome.IsFailed() {
		conditions.Unknown(vmclasscondition.ReadyType, result.Outcome.Reason(), result.Outcome.Message())
		status.Phase = v1alpha2.ClassPending
		return
	}
	status.AvailableNodes = s.available
	if !equality.Semantic.DeepEqual(status.MaxAllocatableResources, s.largest) {
		status.MaxAllocatableResources = s.largest
	}
	status.CPUFeatures.Enabled = s.enabled
	status.CPUFeatures.NotEnabledCommon = s.notCommon
	reportDiscovery(conditions, s, result)
	status.Phase = reportReady(conditions, s)
}

func reportUse(c flow.Conditions, s *scope) {
	if s.machines == 0 {
		c.Remove(vmclasscondition.InUseType)
		return
	}
	c.True(vmclasscondition.InUseType, vmclasscondition.VirtualMachineClassInUse, fmt.Sprintf("%d virtual machines use the class", s.machines))
}

func reportDiscovery(c flow.Conditions, s *scope, result flow.Result) {
	switch s.discovery {
	case vmclasscondition.DiscoverySucceeded:
		c.True(vmclasscondition.DiscoveredType, s.discovery, "")
	case vmclasscondition.DiscoveryFailed:
		c.False(vmclasscondition.DiscoveredType, s.discovery, result.Outcome.Message())
	default:
		c.False(vmclasscondition.DiscoveredType, vmclasscondition.DiscoverySkip, fmt.Sprintf("type %s needs no discovery", s.class.Spec.CPU.Type))
	}
}

func reportReady(c flow.Conditions, s *scope) v1alpha2.ClassPhase {
	switch {
	case s.class.Spec.CPU.Type == v1alpha2.CPUTypeDiscovery && len(s.enabled) == 0:
		c.False(vmclasscondition.ReadyType, vmclasscondition.NoCpuFeaturesEnabled,
			"no CPU feature is common to the nodes of spec.cpu.discovery.nodeSelector: select other nodes")
	case len(s.available) == 0:
		c.False(vmclasscondition.ReadyType, vmclasscondition.NoSuitableNodesFound,
			"no ready node that runs virtual machines matches spec.nodeSelector and spec.cpu: label a node or make another class")
	default:
		c.True(vmclasscondition.ReadyType, vmclasscondition.SuitableNodesFound, "")
		return v1alpha2.ClassReady
	}
	return v1alpha2.ClassPending
}

package machine

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/kubevirt"
	"slipway.dev/slipway/reconcilers/machine/power"
)

// reportDependencies writes the conditions that are always there, and those that
// are there only when something is not as usual.
func reportDependencies(c flow.Conditions, s *scope) {
	reportReadiness(c, vmcondition.VirtualMachineClassReadyType, s.classReady)
	reportReadiness(c, vmcondition.VirtualMachineIPAddressReadyType, s.addressReady)
	reportReadiness(c, vmcondition.BlockDevicesReadyType, s.devicesReady)
	reportReadiness(c, vmcondition.ProvisioningReadyType, s.provisioningReady)
	if s.sizeFits.known && !s.sizeFits.ok {
		c.False(vmcondition.SizingPolicyMatchedType, s.sizeFits.reason, s.sizeFits.message)
	} else if s.sizeFits.known {
		c.Remove(vmcondition.SizingPolicyMatchedType)
	}
	if err := kubevirt.CheckNetworks(&s.vm.Spec); err != nil {
		c.False(vmcondition.NetworkReadyType, vmcondition.SDNModuleDisabled, err.Error())
	} else {
		c.Remove(vmcondition.NetworkReadyType)
	}
}

// reportReadiness writes nothing about what was not looked at in this run. A
// disk whose volume waits for the machine is not ready, and still no obstacle.
func reportReadiness(c flow.Conditions, conditionType string, r readiness) {
	switch {
	case !r.known:
	case r.ok && r.reason != vmcondition.WaitingForWaitForFirstConsumerBlockDevicesToBeReady:
		c.True(conditionType, r.reason, r.message)
	default:
		c.False(conditionType, r.reason, r.message)
	}
}

// reportConfiguration tells whether the guest has what the spec wants.
func reportConfiguration(c flow.Conditions, s *scope, result flow.Result) {
	if s.awaiting() {
		c.True(vmcondition.AwaitingRestartToApplyConfigurationType, vmcondition.ChangesPendingRestart,
			"restart the machine to apply: "+paths(s))
	} else {
		c.Remove(vmcondition.AwaitingRestartToApplyConfigurationType)
	}
	if problem := unapplied(s, result); problem != "" {
		c.False(vmcondition.ConfigurationAppliedType, vmcondition.ConfigurationNotApplied, problem)
		return
	}
	c.True(vmcondition.ConfigurationAppliedType, vmcondition.ConfigurationApplied, "")
}

// unapplied says why the configuration is not applied, empty when it is.
func unapplied(s *scope, result flow.Result) string {
	switch {
	case s.buildErr != nil:
		return joined(s.buildErr)
	case result.Outcome.IsFailed():
		return result.Outcome.Message()
	case s.awaiting():
		return "the machine runs with its former configuration until it is restarted"
	case s.engine == nil:
		return "the machine waits for what it depends on"
	case !s.state().Alive() && !s.applied():
		return "the change is applied when what the machine depends on is ready"
	default:
		return ""
	}
}

func paths(s *scope) string {
	var list []string
	for _, c := range s.changes {
		list = append(list, c.Path)
	}
	return strings.Join(list, ", ")
}

// joined puts errors that were joined on one line.
func joined(err error) string {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return err.Error()
	}
	var all []string
	for _, e := range many.Unwrap() {
		all = append(all, joined(e))
	}
	return strings.Join(all, "; ")
}

// reportGuest writes Running, AgentReady, FilesystemFrozen and Migratable.
func reportGuest(c flow.Conditions, s *scope) {
	reason, message := runningReason(s)
	if reason == vmcondition.Running {
		c.True(vmcondition.RunningType, reason, message)
	} else {
		c.False(vmcondition.RunningType, reason, message)
	}
	reportAgent(c, s)
	reportFrozen(c, s)
	reportMigratable(c, s)
}

func runningReason(s *scope) (reason, message string) {
	if s.refused() {
		failure := engineCondition(s.engine, kubevirtv1.VirtualMachineFailure)
		return vmcondition.InternalVirtualMachineError, explain(failure.Reason, failure.Message)
	}
	switch s.state() {
	case power.Absent:
		return vmcondition.NotRunning, ""
	case power.Stopping:
		return vmcondition.PodTerminating, "the guest is shutting down"
	case power.ShutDown, power.Reset:
		return vmcondition.NotRunning, explain("the guest shut down", s.instance.Status.Reason)
	case power.Failed:
		return vmcondition.NotRunning, explain("the instance died", s.instance.Status.Reason)
	case power.Launching:
		return launchingReason(s.instance)
	default:
		return guestReason(s.instance)
	}
}

func launchingReason(instance *kubevirtv1.VirtualMachineInstance) (reason, message string) {
	if c := instanceCondition(instance, kubevirtv1.VirtualMachineInstanceSynchronized); c != nil && c.Status == corev1.ConditionFalse {
		return vmcondition.InternalVirtualMachineError, explain(c.Reason, c.Message)
	}
	for _, kind := range []kubevirtv1.VirtualMachineInstanceConditionType{
		kubevirtv1.VirtualMachineInstanceConditionType(corev1.PodScheduled), kubevirtv1.VirtualMachineInstanceReady,
	} {
		if c := instanceCondition(instance, kind); c != nil && c.Status == corev1.ConditionFalse {
			return vmcondition.PodNotStarted, explain(c.Reason, c.Message)
		}
	}
	return vmcondition.PodNotStarted, "the instance is being started"
}

func guestReason(instance *kubevirtv1.VirtualMachineInstance) (reason, message string) {
	if c := instanceCondition(instance, kubevirtv1.VirtualMachineInstancePaused); c != nil && c.Status == corev1.ConditionTrue {
		return vmcondition.GuestNotRunning, "the guest is paused"
	}
	if c := instanceCondition(instance, kubevirtv1.VirtualMachineInstanceReady); c != nil && c.Status == corev1.ConditionFalse {
		return vmcondition.GuestNotRunning, explain(c.Reason, c.Message)
	}
	return vmcondition.Running, ""
}

// reportAgent shows the guest agent while a guest runs.
func reportAgent(c flow.Conditions, s *scope) {
	if s.state() != power.Running {
		c.Remove(vmcondition.AgentReadyType)
		return
	}
	agent := instanceCondition(s.instance, kubevirtv1.VirtualMachineInstanceAgentConnected)
	if agent != nil && agent.Status == corev1.ConditionTrue {
		c.True(vmcondition.AgentReadyType, vmcondition.AgentReady, "")
		return
	}
	c.False(vmcondition.AgentReadyType, vmcondition.AgentNotReady, "no guest agent answers: install qemu-guest-agent in the guest")
}

// fileSystemsFrozen is KubeVirt's word for a guest that is frozen for a snapshot.
const fileSystemsFrozen = "frozen"

// reportFrozen says that the guest's file systems are frozen, and nothing otherwise.
func reportFrozen(c flow.Conditions, s *scope) {
	if s.state() == power.Running && s.instance.Status.FSFreezeStatus == fileSystemsFrozen {
		c.True(vmcondition.FilesystemFrozenType, vmcondition.Frozen, "the guest's file systems are frozen while a snapshot is taken; programs in it wait when they write")
		return
	}
	c.Remove(vmcondition.FilesystemFrozenType)
}

func reportMigratable(c flow.Conditions, s *scope) {
	migratable := instanceCondition(s.instance, kubevirtv1.VirtualMachineInstanceIsMigratable)
	switch {
	case s.state() != power.Running:
		c.False(vmcondition.MigratableType, vmcondition.VirtualMachineNonMigratable, "the machine does not run")
	case migratable != nil && migratable.Status == corev1.ConditionTrue:
		c.True(vmcondition.MigratableType, vmcondition.VirtualMachineMigratable, "")
	case migratable != nil && migratable.Reason == kubevirtv1.VirtualMachineInstanceReasonDisksNotMigratable:
		c.False(vmcondition.MigratableType, vmcondition.VirtualMachineDisksNotMigratable, migratable.Message)
	case migratable != nil:
		c.False(vmcondition.MigratableType, vmcondition.VirtualMachineNonMigratable, explain(migratable.Reason, migratable.Message))
	default:
		c.False(vmcondition.MigratableType, vmcondition.VirtualMachineNonMigratable, "the engine does not say that the machine can be moved")
	}
}

func explain(what, more string) string {
	if what == "" || more == "" {
		return what + more
	}
	return fmt.Sprintf("%s: %s", what, more)
}

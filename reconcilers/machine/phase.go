package machine

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/machine/power"
)

// phases are KubeVirt's states in the words of the module. What is missing is
// Pending: something stands in the way of the machine's start.
var phases = map[kubevirtv1.VirtualMachinePrintableStatus]v1alpha2.MachinePhase{
	kubevirtv1.VirtualMachineStatusStopped:                 v1alpha2.MachineStopped,
	kubevirtv1.VirtualMachineStatusProvisioning:            v1alpha2.MachineStarting,
	kubevirtv1.VirtualMachineStatusStarting:                v1alpha2.MachineStarting,
	kubevirtv1.VirtualMachineStatusRunning:                 v1alpha2.MachineRunning,
	kubevirtv1.VirtualMachineStatusPaused:                  v1alpha2.MachinePause,
	kubevirtv1.VirtualMachineStatusStopping:                v1alpha2.MachineStopping,
	kubevirtv1.VirtualMachineStatusTerminating:             v1alpha2.MachineTerminating,
	kubevirtv1.VirtualMachineStatusMigrating:               v1alpha2.MachineMigrating,
	kubevirtv1.VirtualMachineStatusWaitingForReceiver:      v1alpha2.MachineMigrating,
	kubevirtv1.VirtualMachineStatusCrashLoopBackOff:        v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusUnknown:                 v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusUnschedulable:           v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusErrImagePull:            v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusImagePullBackOff:        v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusPvcNotFound:             v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusDataVolumeError:         v1alpha2.MachinePending,
	kubevirtv1.VirtualMachineStatusWaitingForVolumeBinding: v1alpha2.MachinePending,
}

// reasonFailedCreate is KubeVirt's reason when an instance's pod cannot be made.
const reasonFailedCreate = "FailedCreate"

// phaseOf sums the machine up in one word.
func phaseOf(s *scope) v1alpha2.MachinePhase {
	switch {
	case !s.vm.DeletionTimestamp.IsZero():
		return v1alpha2.MachineTerminating
	case s.engine == nil:
		return v1alpha2.MachinePending
	}
	phase, ok := phases[s.engine.Status.PrintableStatus]
	switch {
	case !ok:
		return v1alpha2.MachinePending
	case phase == v1alpha2.MachineStarting && failedToCreate(s.instance):
		return v1alpha2.MachinePending
	case phase == v1alpha2.MachineRunning && s.endsSoon():
		return v1alpha2.MachineStopping
	case phase == v1alpha2.MachineStopped:
		return offPhase(s)
	default:
		return phase
	}
}

// endsSoon tells that the running instance is on its way out, which KubeVirt has
// not written down yet. The guest no longer counts as one that runs what is wanted.
func (s *scope) endsSoon() bool {
	return s.inFlight(kubevirtv1.StopRequest) || s.state() == power.Stopping
}

// offPhase tells a machine that is off from one that is about to be on.
func offPhase(s *scope) v1alpha2.MachinePhase {
	switch {
	case s.state() == power.Stopping:
		return v1alpha2.MachineStopping
	case s.refused():
		return v1alpha2.MachinePending
	case s.inFlight(kubevirtv1.StartRequest) || s.state().Alive():
		return v1alpha2.MachineStarting
	case s.action == power.Start:
		return v1alpha2.MachinePending
	default:
		return v1alpha2.MachineStopped
	}
}

// refused tells that KubeVirt cannot do what the machine's configuration says.
func (s *scope) refused() bool {
	c := engineCondition(s.engine, kubevirtv1.VirtualMachineFailure)
	return c != nil && c.Status == corev1.ConditionTrue
}

func failedToCreate(instance *kubevirtv1.VirtualMachineInstance) bool {
	c := instanceCondition(instance, kubevirtv1.VirtualMachineInstanceSynchronized)
	return c != nil && c.Status == corev1.ConditionFalse && c.Reason == reasonFailedCreate
}

func instanceCondition(instance *kubevirtv1.VirtualMachineInstance, kind kubevirtv1.VirtualMachineInstanceConditionType) *kubevirtv1.VirtualMachineInstanceCondition {
	if instance == nil {
		return nil
	}
	i := slices.IndexFunc(instance.Status.Conditions, func(c kubevirtv1.VirtualMachineInstanceCondition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &instance.Status.Conditions[i]
}

func engineCondition(engine *kubevirtv1.VirtualMachine, kind kubevirtv1.VirtualMachineConditionType) *kubevirtv1.VirtualMachineCondition {
	if engine == nil {
		return nil
	}
	i := slices.IndexFunc(engine.Status.Conditions, func(c kubevirtv1.VirtualMachineCondition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &engine.Status.Conditions[i]
}

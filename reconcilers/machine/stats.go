package machine

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// keptTransitions is how many phases the stats remember.
const keptTransitions = 5

// reportStats remembers the last phases, and how long each part of the last
// start took.
func reportStats(s *scope, conditions flow.Conditions) {
	status := &s.vm.Status
	if status.Stats == nil {
		status.Stats = &v1alpha2.VirtualMachineStats{}
	}
	stats := status.Stats
	last := lastTransition(stats)
	if last.Phase != status.Phase {
		measure(&stats.LaunchTimeDuration, last, status.Phase, s.now)
		stats.PhasesTransitions = append(stats.PhasesTransitions, v1alpha2.PhaseTransition{Phase: status.Phase, Timestamp: metav1.NewTime(s.now)})
	}
	if extra := len(stats.PhasesTransitions) - keptTransitions; extra > 0 {
		stats.PhasesTransitions = stats.PhasesTransitions[extra:]
	}
	agent := meta.FindStatusCondition(*conditions.List, vmcondition.AgentReadyType)
	if status.Phase == v1alpha2.MachineRunning && agent != nil && agent.Status == metav1.ConditionTrue && stats.LaunchTimeDuration.GuestOSAgentStarting == nil {
		stats.LaunchTimeDuration.GuestOSAgentStarting = since(lastTransition(stats), s.now)
	}
}

func lastTransition(stats *v1alpha2.VirtualMachineStats) v1alpha2.PhaseTransition {
	if len(stats.PhasesTransitions) == 0 {
		return v1alpha2.PhaseTransition{}
	}
	return stats.PhasesTransitions[len(stats.PhasesTransitions)-1]
}

// measure starts anew with each start of the machine.
func measure(d *v1alpha2.LaunchTimeDuration, from v1alpha2.PhaseTransition, to v1alpha2.MachinePhase, now time.Time) {
	switch {
	case to == v1alpha2.MachineStarting:
		*d = v1alpha2.LaunchTimeDuration{}
		if from.Phase == v1alpha2.MachinePending {
			d.WaitingForDependencies = since(from, now)
		}
	case to == v1alpha2.MachineRunning && from.Phase == v1alpha2.MachineStarting:
		d.VirtualMachineStarting = since(from, now)
	}
}

func since(from v1alpha2.PhaseTransition, now time.Time) *metav1.Duration {
	return &metav1.Duration{Duration: now.Sub(from.Timestamp.Time).Round(time.Second)}
}

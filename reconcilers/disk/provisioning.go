package disk

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
)

// stage is how far the making of a volume is.
type stage int

const (
	notStarted stage = iota
	awaitingConsumer
	quotaExceeded
	notPulled
	running
	failing
	complete
)

// provisioning is what is known of the making of a volume.
type provisioning struct {
	stage   stage
	message string
}

// quotaReason is CDI's word for a claim that a quota denied.
const quotaReason = "ErrExceededQuota"

// pullReason is CDI's word for an importer whose image cannot be pulled.
const pullReason = "ImagePullFailed"

// errorReasons is how CDI begins the reasons of what stops a DataVolume.
const errorReasons = "Err"

// Annotations of a claim that is being filled, in CDI's words, and the one by
// which the scheduler names the node where it shall be.
const (
	fillingFailed   = "cdi.kubevirt.io/storage.condition.running.message"
	fillingProgress = "cdi.kubevirt.io/storage.populator.progress"
	selectedNode    = "volume.kubernetes.io/selected-node"
)

// assessClaim reads a claim that the storage fills.
func assessClaim(claim *corev1.PersistentVolumeClaim, firstClaim bool) provisioning {
	switch problem := claim.Annotations[fillingFailed]; {
	case claim.Status.Phase == corev1.ClaimLost:
		return provisioning{failing, "the volume of claim " + claim.Name + " is lost"}
	case problem != "":
		return provisioning{failing, "filling the volume failed and is tried again: " + problem}
	case firstClaim && claim.Annotations[selectedNode] == "" && claim.Annotations[fillingProgress] == "":
		return provisioning{awaitingConsumer, ""}
	default:
		return provisioning{running, ""}
	}
}

// assess reads a DataVolume and its claim.
func assess(volume *cdiv1.DataVolume, claim *corev1.PersistentVolumeClaim, firstClaim bool) provisioning {
	if message, denied := quotaDenial(volume); denied {
		return provisioning{quotaExceeded, message}
	}
	state, bound := condition(volume, cdiv1.DataVolumeRunning), condition(volume, cdiv1.DataVolumeBound)
	switch {
	case bound.Status == corev1.ConditionFalse && strings.HasPrefix(bound.Reason, errorReasons):
		return provisioning{failing, fmt.Sprintf("DataVolume %s gets no claim: %s", volume.Name, bound.Message)}
	case volume.Status.Phase == cdiv1.Failed:
		return provisioning{failing, fmt.Sprintf("DataVolume %s failed: %s", volume.Name, state.Message)}
	case volume.Status.Phase == cdiv1.Succeeded && claim != nil && claim.Status.Phase == corev1.ClaimBound:
		return provisioning{complete, ""}
	case state.Status != corev1.ConditionTrue && state.Reason == pullReason:
		return provisioning{notPulled, fmt.Sprintf("DataVolume %s is not filled, as an image cannot be pulled: %s", volume.Name, state.Message)}
	case volume.Status.RestartCount > 0 && state.Status == corev1.ConditionFalse && state.Message != "":
		return provisioning{failing, fmt.Sprintf("filling the volume failed %d times and is tried again: %s", volume.Status.RestartCount, state.Message)}
	case volume.Status.Phase == cdiv1.WaitForFirstConsumer, firstClaim && unscheduled(volume.Status.Phase):
		return provisioning{awaitingConsumer, ""}
	default:
		return provisioning{running, ""}
	}
}

// unscheduled tells whether a DataVolume whose class binds late has yet to be
// given a node.
func unscheduled(phase cdiv1.DataVolumePhase) bool {
	return phase == cdiv1.PhaseUnset || phase == cdiv1.Pending || phase == cdiv1.PendingPopulation
}

func quotaDenial(volume *cdiv1.DataVolume) (string, bool) {
	for _, c := range volume.Status.Conditions {
		if c.Reason == quotaReason && c.Status != corev1.ConditionTrue {
			return c.Message, true
		}
	}
	return "", false
}

func condition(volume *cdiv1.DataVolume, conditionType cdiv1.DataVolumeConditionType) cdiv1.DataVolumeCondition {
	for _, c := range volume.Status.Conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return cdiv1.DataVolumeCondition{}
}

package datavolume

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/local/node/claim"
)

// Reasons of conditions. Those that CDI has carry its names.
const (
	ReasonUnsupported   = "Unsupported"
	ReasonExceededQuota = "ErrExceededQuota"
	ReasonExists        = "ErrResourceExists"
	ReasonClaimFailed   = "ErrClaimNotCreated"
	ReasonPending       = "Pending"
	ReasonBound         = "Bound"
	ReasonCompleted     = "Completed"
	ReasonLost          = "ClaimLost"
	ReasonTransfer      = "TransferRunning"
)

// View is all that a status is computed from.
type View struct {
	DV      *cdiv1.DataVolume
	Claim   *corev1.PersistentVolumeClaim // nil when there is none
	Refused string                        // why the DataVolume cannot be filled
	Blocked Blocker                       // why there is no claim
	Now     metav1.Time
}

// Blocker is why a claim could not be made.
type Blocker struct{ Reason, Message string }

// Status is the DataVolume's status in CDI's words.
func Status(v View) cdiv1.DataVolumeStatus {
	out := *v.DV.Status.DeepCopy()
	c := conditions{list: &out.Conditions, now: v.Now}
	switch {
	case v.Refused != "":
		out.Phase, out.Progress = cdiv1.Failed, "N/A"
		c.set(cdiv1.DataVolumeBound, corev1.ConditionFalse, ReasonUnsupported, v.Refused)
		c.set(cdiv1.DataVolumeReady, corev1.ConditionFalse, ReasonUnsupported, v.Refused)
		c.set(cdiv1.DataVolumeRunning, corev1.ConditionFalse, ReasonUnsupported, v.Refused)
	case v.Claim == nil:
		out.Phase, out.Progress = cdiv1.Pending, "N/A"
		if v.Blocked.Reason == ReasonLost {
			out.Phase = cdiv1.Failed
		}
		c.set(cdiv1.DataVolumeBound, corev1.ConditionFalse, v.Blocked.Reason, v.Blocked.Message)
		c.set(cdiv1.DataVolumeReady, corev1.ConditionFalse, v.Blocked.Reason, v.Blocked.Message)
		c.set(cdiv1.DataVolumeRunning, corev1.ConditionFalse, "", "")
	default:
		out.ClaimName = v.Claim.Name
		follow(&out, c, v)
	}
	return out
}

// follow tells the claim's state. Content that has been complete once stays so.
func follow(out *cdiv1.DataVolumeStatus, c conditions, v View) {
	pvc := v.Claim
	switch pvc.Status.Phase {
	case corev1.ClaimLost:
		out.Phase = cdiv1.Failed
		c.set(cdiv1.DataVolumeBound, corev1.ConditionFalse, ReasonLost, "the volume of claim "+pvc.Name+" is lost")
		c.set(cdiv1.DataVolumeReady, corev1.ConditionFalse, ReasonLost, "the volume of claim "+pvc.Name+" is lost")
		c.set(cdiv1.DataVolumeRunning, corev1.ConditionFalse, ReasonLost, "")
	case corev1.ClaimBound:
		out.Phase, out.Progress = cdiv1.Succeeded, "100.0%"
		c.set(cdiv1.DataVolumeBound, corev1.ConditionTrue, ReasonBound, "PVC "+pvc.Name+" Bound")
		c.set(cdiv1.DataVolumeReady, corev1.ConditionTrue, "", "")
		c.set(cdiv1.DataVolumeRunning, corev1.ConditionFalse, ReasonCompleted, "Import Complete")
	default:
		transfer(out, c, pvc)
	}
}

func transfer(out *cdiv1.DataVolumeStatus, c conditions, pvc *corev1.PersistentVolumeClaim) {
	out.Phase, out.Progress = cdiv1.ImportScheduled, "N/A"
	c.set(cdiv1.DataVolumeBound, corev1.ConditionFalse, ReasonPending, "PVC "+pvc.Name+" Pending")
	running, reason, message := corev1.ConditionFalse, "", ""
	if pvc.Annotations[claim.AnnotationPhase] == claim.PhaseWaiting {
		out.Phase = cdiv1.WaitForFirstConsumer
	}
	if pvc.Annotations[claim.AnnotationPhase] == string(corev1.PodRunning) {
		out.Phase, running, reason = cdiv1.ImportInProgress, corev1.ConditionTrue, ReasonTransfer
	}
	if progress := pvc.Annotations[claim.AnnotationProgress]; progress != "" {
		out.Progress = cdiv1.DataVolumeProgress(progress)
	}
	if failed := pvc.Annotations[claim.AnnotationReason]; failed != "" {
		running, reason, message = corev1.ConditionFalse, failed, pvc.Annotations[claim.AnnotationMessage]
	}
	if restarts, err := strconv.ParseInt(pvc.Annotations[claim.AnnotationRestarts], 10, 32); err == nil {
		out.RestartCount = int32(restarts)
	}
	c.set(cdiv1.DataVolumeRunning, running, reason, message)
	c.set(cdiv1.DataVolumeReady, corev1.ConditionFalse, reason, message)
}

type conditions struct {
	list *[]cdiv1.DataVolumeCondition
	now  metav1.Time
}

func (c conditions) set(kind cdiv1.DataVolumeConditionType, status corev1.ConditionStatus, reason, message string) {
	for i := range *c.list {
		old := &(*c.list)[i]
		if old.Type != kind {
			continue
		}
		if old.Status == status && old.Reason == reason && old.Message == message {
			return
		}
		if old.Status != status {
			old.LastTransitionTime = c.now
		}
		old.Status, old.Reason, old.Message, old.LastHeartbeatTime = status, reason, message, c.now
		return
	}
	*c.list = append(*c.list, cdiv1.DataVolumeCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: c.now, LastHeartbeatTime: c.now,
	})
}

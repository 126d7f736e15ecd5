package machine

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/instance"
)

// Disk is the state of one of the template's volumes.
type Disk int

// The states, the worst last.
const (
	DiskReady Disk = iota
	DiskUnbound
	DiskFilling
	DiskFailed
	DiskMissing
)

// View is all that a status is computed from.
type View struct {
	VM       *virtv1.VirtualMachine
	Instance *virtv1.VirtualMachineInstance // nil when there is none
	Decision Decision
	Refused  []string
	Failure  string // why the instance could not be created
	Disk     Disk   // the worst of the template's volumes
	Storage  Storage
	Now      metav1.Time
}

// Status is the machine's status in KubeVirt's words.
func Status(v View) virtv1.VirtualMachineStatus {
	out := *v.VM.Status.DeepCopy()
	out.Created = v.Instance != nil
	out.Ready = v.Instance != nil && v.Instance.Status.Phase == virtv1.Running && isTrue(v.Instance, virtv1.VirtualMachineInstanceReady)
	out.StateChangeRequests = v.Decision.Requests
	if len(out.StateChangeRequests) == 0 {
		out.StateChangeRequests = nil
	}
	out.StartFailure = v.Decision.StartFailure
	out.RunStrategy = strategy(v.VM)
	if v.VM.Spec.Template != nil {
		out.VolumeSnapshotStatuses = volumeSnapshots(v.VM.Spec.Template.Spec.Volumes, v.Storage)
	}
	out.ObservedGeneration, out.DesiredGeneration = v.VM.Generation, v.VM.Generation
	setConditions(&out, v)
	out.PrintableStatus = printable(v)
	return out
}

func isTrue(vmi *virtv1.VirtualMachineInstance, kind virtv1.VirtualMachineInstanceConditionType) bool {
	c := condition(vmi, kind)
	return c != nil && c.Status == corev1.ConditionTrue
}

func condition(vmi *virtv1.VirtualMachineInstance, kind virtv1.VirtualMachineInstanceConditionType) *virtv1.VirtualMachineInstanceCondition {
	for i := range vmi.Status.Conditions {
		if vmi.Status.Conditions[i].Type == kind {
			return &vmi.Status.Conditions[i]
		}
	}
	return nil
}

// printable is the one word that people and controllers read first. The order of the rows is KubeVirt's.
func printable(v View) virtv1.VirtualMachinePrintableStatus {
	for _, row := range []struct {
		status virtv1.VirtualMachinePrintableStatus
		holds  bool
	}{
		{virtv1.VirtualMachineStatusTerminating, v.VM.DeletionTimestamp != nil},
		{virtv1.VirtualMachineStatusStopping, unfinished(v) && v.Instance.DeletionTimestamp != nil},
		{virtv1.VirtualMachineStatusRunning, unfinished(v) && v.Instance.Status.Phase == virtv1.Running},
		{virtv1.VirtualMachineStatusPvcNotFound, starting(v) && (v.Disk == DiskMissing || waitsFor(v, instance.ReasonPVCNotFound))},
		{virtv1.VirtualMachineStatusDataVolumeError, starting(v) && v.Disk == DiskFailed},
		{virtv1.VirtualMachineStatusUnschedulable, unfinished(v) && waitsFor(v, instance.ReasonUnschedulable)},
		{virtv1.VirtualMachineStatusProvisioning, starting(v) && v.Disk == DiskFilling},
		{virtv1.VirtualMachineStatusWaitingForVolumeBinding, starting(v) && v.Disk == DiskUnbound},
		{virtv1.VirtualMachineStatusErrImagePull, unfinished(v) && waitsFor(v, instance.ReasonImagePull)},
		{virtv1.VirtualMachineStatusCrashLoopBackOff, v.Instance == nil && v.Decision.After > 0},
		{virtv1.VirtualMachineStatusStarting, starting(v)},
	} {
		if row.holds {
			return row.status
		}
	}
	return virtv1.VirtualMachineStatusStopped
}

func unfinished(v View) bool {
	return v.Instance != nil && !instance.Final(v.Instance.Status.Phase)
}

// starting: an instance that does not run yet, or one that is about to be created.
func starting(v View) bool {
	if v.Instance != nil {
		return unfinished(v) && v.Instance.Status.Phase != virtv1.Running
	}
	return v.Decision.Action == Create && v.Failure == ""
}

// waitsFor: what stands in an instance's way is said by one of two conditions.
func waitsFor(v View, reason string) bool {
	if v.Instance == nil {
		return false
	}
	kind := virtv1.VirtualMachineInstanceSynchronized
	if reason == instance.ReasonUnschedulable {
		kind = podScheduled
	}
	c := condition(v.Instance, kind)
	return c != nil && c.Status == corev1.ConditionFalse && c.Reason == reason
}

const podScheduled = virtv1.VirtualMachineInstanceConditionType(corev1.PodScheduled)

// Reasons of the machine's own conditions.
const (
	ReasonNoInstance   = "VMINotExists"
	ReasonUnsupported  = "Unsupported"
	ReasonFailedCreate = "FailedCreate"
)

// own are the conditions that a machine does not have from its instance.
var own = []virtv1.VirtualMachineConditionType{virtv1.VirtualMachineFailure, virtv1.VirtualMachineRestartRequired}

func setConditions(out *virtv1.VirtualMachineStatus, v View) {
	c := conditions{list: &out.Conditions, now: v.Now}
	if v.Instance != nil {
		mirror(c, v.Instance)
	} else { // the rest of what the last one said stays, as it does with KubeVirt
		c.set(virtv1.VirtualMachineReady, corev1.ConditionFalse, ReasonNoInstance, "VMI does not exist")
		c.drop(virtv1.VirtualMachineConditionType(virtv1.VirtualMachineInstanceAgentConnected))
	}
	setFailure(c, v)
	if v.Instance != nil && v.VM.Spec.Template != nil && outdated(v) {
		c.set(virtv1.VirtualMachineRestartRequired, corev1.ConditionTrue, "", "a non-live-updatable field was changed in the template spec")
	} else {
		c.drop(virtv1.VirtualMachineRestartRequired)
	}
}

// mirror takes over an instance's conditions, and drops those that it has no more.
func mirror(c conditions, from *virtv1.VirtualMachineInstance) {
	for _, old := range slices.Clone(*c.list) {
		if !slices.Contains(own, old.Type) && condition(from, virtv1.VirtualMachineInstanceConditionType(old.Type)) == nil {
			c.drop(old.Type)
		}
	}
	for _, next := range from.Status.Conditions {
		c.set(virtv1.VirtualMachineConditionType(next.Type), next.Status, next.Reason, next.Message)
	}
}

func setFailure(c conditions, v View) {
	switch {
	case len(v.Refused) > 0:
		c.set(virtv1.VirtualMachineFailure, corev1.ConditionTrue, ReasonUnsupported,
			"this node does not implement "+strings.Join(v.Refused, ", ")+": remove it, or run the machine on a cluster with KubeVirt")
	case v.Failure != "":
		c.set(virtv1.VirtualMachineFailure, corev1.ConditionTrue, ReasonFailedCreate, v.Failure)
	default:
		c.drop(virtv1.VirtualMachineFailure)
	}
}

func outdated(v View) bool {
	made := v.Instance.Annotations[templateAnnotation]
	return made != "" && made != digest(v.VM.Spec.Template)
}

type conditions struct {
	list *[]virtv1.VirtualMachineCondition
	now  metav1.Time
}

func (c conditions) set(kind virtv1.VirtualMachineConditionType, status corev1.ConditionStatus, reason, message string) {
	for i := range *c.list {
		old := &(*c.list)[i]
		if old.Type != kind {
			continue
		}
		if old.Status != status {
			old.LastTransitionTime = c.now
		}
		old.Status, old.Reason, old.Message = status, reason, message
		return
	}
	*c.list = append(*c.list, virtv1.VirtualMachineCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: c.now,
	})
}

func (c conditions) drop(kind virtv1.VirtualMachineConditionType) {
	*c.list = slices.DeleteFunc(*c.list, func(old virtv1.VirtualMachineCondition) bool { return old.Type == kind })
}

package instance

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
)

func setConditions(s *virtv1.VirtualMachineInstanceStatus, v View) {
	c := conditions{list: &s.Conditions, now: v.Now}
	setReady(c, s.Phase, v)
	setHindrance(c, s.Phase, v.Decision)
	if len(v.Sources) > 0 {
		setDataVolumes(c, v.Sources)
	}
	if v.Process.Running {
		reason, message := notMigratable(v)
		c.set(virtv1.VirtualMachineInstanceIsMigratable, corev1.ConditionFalse, reason, message)
	}
	if v.Process.Running && v.Process.Guest != nil {
		c.set(virtv1.VirtualMachineInstanceAgentConnected, corev1.ConditionTrue, "", "")
	} else {
		c.drop(virtv1.VirtualMachineInstanceAgentConnected)
	}
}

// setReady has KubeVirt's reasons, and its words where this node has no better ones.
func setReady(c conditions, phase virtv1.VirtualMachineInstancePhase, v View) {
	const ready = virtv1.VirtualMachineInstanceReady
	switch {
	case v.Process.Running:
		c.set(ready, corev1.ConditionTrue, "", "")
	case phase == virtv1.Pending:
		c.set(ready, corev1.ConditionFalse, virtv1.PodNotExistsReason, v.Decision.Message)
	case Final(phase), v.Decision.Reason == ReasonUnschedulable:
		c.set(ready, corev1.ConditionFalse, virtv1.GuestNotRunningReason, notRunning)
	default:
		c.set(ready, corev1.ConditionFalse, virtv1.GuestNotRunningReason, cmp.Or(v.Decision.Message, notRunning))
	}
}

const notRunning = "Guest VM is not reported as running"

// podScheduled is where KubeVirt shows that no node takes an instance.
const podScheduled = virtv1.VirtualMachineInstanceConditionType(corev1.PodScheduled)

// setHindrance tells what an instance waits for, and nothing when all is well.
func setHindrance(c conditions, phase virtv1.VirtualMachineInstancePhase, d Decision) {
	hindered := !Final(phase) && d.Reason != "" && d.Reason != ReasonPreparing
	unschedulable := d.Reason == ReasonUnschedulable
	if hindered && unschedulable {
		c.set(podScheduled, corev1.ConditionFalse, corev1.PodReasonUnschedulable, d.Message)
	} else {
		c.drop(podScheduled)
	}
	if hindered && !unschedulable {
		c.set(virtv1.VirtualMachineInstanceSynchronized, corev1.ConditionFalse, d.Reason, d.Message)
	} else {
		c.drop(virtv1.VirtualMachineInstanceSynchronized)
	}
}

// setDataVolumes sums the volumes up: one that is known not to be ready counts more than one of which nothing is known.
func setDataVolumes(c conditions, sources []cdiv1.DataVolume) {
	sum := corev1.ConditionTrue
	for i := range sources {
		switch ready := readyOf(&sources[i]); {
		case ready == corev1.ConditionFalse:
			sum = corev1.ConditionFalse
		case ready != corev1.ConditionTrue && sum == corev1.ConditionTrue:
			sum = ready
		}
	}
	if sum == corev1.ConditionTrue {
		c.set(virtv1.VirtualMachineInstanceDataVolumesReady, sum, virtv1.VirtualMachineInstanceReasonAllDVsReady, "All of the VMI's DVs are bound and ready")
		return
	}
	c.set(virtv1.VirtualMachineInstanceDataVolumesReady, sum, virtv1.VirtualMachineInstanceReasonNotAllDVsReady, "Not all of the VMI's DVs are ready")
}

func readyOf(dv *cdiv1.DataVolume) corev1.ConditionStatus {
	for _, c := range dv.Status.Conditions {
		if c.Type == cdiv1.DataVolumeReady {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}

// notMigratable says why a guest cannot be moved. That a disk is not shared is said first, as KubeVirt does.
func notMigratable(v View) (reason, message string) {
	for i := range v.VMI.Spec.Volumes {
		claim := v.Claims[v.VMI.Spec.Volumes[i].Name]
		if claim != nil && !slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany) {
			return virtv1.VirtualMachineInstanceReasonDisksNotMigratable, fmt.Sprintf(
				"cannot migrate VMI: PVC %s is not shared, live migration requires that all PVCs must be shared (using ReadWriteMany access mode)", claim.Name)
		}
	}
	return virtv1.VirtualMachineInstanceReasonNotMigratable, "this node is the only one"
}

type conditions struct {
	list *[]virtv1.VirtualMachineInstanceCondition
	now  metav1.Time
}

func (c conditions) set(kind virtv1.VirtualMachineInstanceConditionType, status corev1.ConditionStatus, reason, message string) {
	next := virtv1.VirtualMachineInstanceCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: c.now}
	for i, old := range *c.list {
		if old.Type != kind {
			continue
		}
		if old.Status == status {
			next.LastTransitionTime = old.LastTransitionTime
		}
		next.LastProbeTime = old.LastProbeTime
		(*c.list)[i] = next
		return
	}
	*c.list = append(*c.list, next)
}

func (c conditions) drop(kind virtv1.VirtualMachineInstanceConditionType) {
	*c.list = slices.DeleteFunc(*c.list, func(old virtv1.VirtualMachineInstanceCondition) bool { return old.Type == kind })
}

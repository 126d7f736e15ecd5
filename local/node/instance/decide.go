package instance

import (
	"fmt"
	"strings"

	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/qemu"
)

// Reasons of conditions and finished phases. Those that KubeVirt or Kubernetes have carry their names.
const (
	ReasonUnsupported    = "Unsupported"
	ReasonInvalid        = "Invalid"
	ReasonUnschedulable  = "Unschedulable"
	ReasonPVCNotFound    = "FailedPvcNotFound"
	ReasonVolumeBinding  = "WaitingForVolumeBinding"
	ReasonVolumeInUse    = "VolumeInUse"
	ReasonSecretNotFound = "SecretNotFound"
	ReasonImagePull      = "ErrImagePull"
	ReasonPreparing      = "Preparing"
	ReasonStartFailed    = "StartFailed"
	ReasonLost           = "Lost"
)

// Blocker is why an instance cannot start yet. The zero value blocks nothing.
type Blocker struct{ Reason, Message string }

// Situation is all that a decision depends on.
type Situation struct {
	Deleting    bool
	Phase       virtv1.VirtualMachineInstancePhase
	Refused     []string // fields that are not implemented
	Blocker     Blocker  // what the instance waits for outside this controller
	Process     Observed
	Preparation *job.State // of the instance's own disks; nil when never begun
}

// Action is what to do about an instance.
type Action int

// The actions.
const (
	Nothing Action = iota
	Prepare        // make the instance's own disks
	Start
	Stop
	CleanUp // remove the ended instance's files and let the object go
)

// Decision is an action, and the phase that the instance is in before it.
type Decision struct {
	Action  Action
	Phase   virtv1.VirtualMachineInstancePhase
	Reason  string // why it is not further, or how it ended
	Message string
}

// Decide is the state machine of an instance.
func Decide(s Situation) Decision {
	switch {
	case s.Deleting && s.Process.Running:
		return Decision{Action: Stop, Phase: s.Phase}
	case s.Deleting:
		return Decision{Action: CleanUp, Phase: s.Phase}
	case Final(s.Phase):
		return Decision{Phase: s.Phase}
	case s.Process.Running:
		return Decision{Phase: virtv1.Running}
	case s.Process.Known && !s.Process.Record.Parked:
		return ended(s.Process)
	case s.Phase == virtv1.Running && !s.Process.Known:
		return Decision{Phase: virtv1.Failed, Reason: ReasonLost, Message: "nothing is left of the instance on this node"}
	}
	return begin(s)
}

// Final says that a phase is never left.
func Final(p virtv1.VirtualMachineInstancePhase) bool {
	return p == virtv1.Succeeded || p == virtv1.Failed
}

func begin(s Situation) Decision {
	switch p := s.Preparation; {
	case len(s.Refused) > 0:
		return Decision{Phase: virtv1.Pending, Reason: ReasonUnsupported, Message: refusal(s.Refused)}
	case s.Blocker.Reason == ReasonUnschedulable:
		return Decision{Phase: virtv1.Scheduling, Reason: s.Blocker.Reason, Message: s.Blocker.Message}
	case s.Blocker != Blocker{}:
		return Decision{Phase: virtv1.Pending, Reason: s.Blocker.Reason, Message: s.Blocker.Message}
	case p == nil, p.Err != nil && !p.Running:
		d := Decision{Action: Prepare, Phase: virtv1.Scheduling, Reason: ReasonPreparing}
		if p != nil {
			d.Reason, d.Message = ReasonImagePull, p.Err.Error()
		}
		return d
	case p.Running:
		return Decision{Phase: virtv1.Scheduling, Reason: ReasonPreparing, Message: progress(*p)}
	}
	return Decision{Action: Start, Phase: virtv1.Scheduled}
}

func refusal(fields []string) string {
	return "this node does not implement " + strings.Join(fields, ", ") + ": remove it, or run the machine on a cluster with KubeVirt"
}

func progress(s job.State) string {
	const percent = 100
	if s.Total <= 0 {
		return "disks are being made"
	}
	return fmt.Sprintf("disks are being made, %d %%", s.Done*percent/s.Total)
}

// ended gives the final phase: a guest that ended by its own will has succeeded.
func ended(o Observed) Decision {
	d := Decision{Phase: virtv1.Failed, Reason: string(o.Exit), Message: o.Message}
	switch o.Exit {
	case qemu.GuestShutdown:
		d.Phase, d.Message = virtv1.Succeeded, "the guest powered off"
	case qemu.GuestReset:
		d.Phase, d.Message = virtv1.Succeeded, "the guest reset itself"
	case qemu.GuestPanicked:
		d.Message = "the guest's kernel crashed"
	}
	if d.Message == "" {
		d.Message = "QEMU ended without a word: it was killed, or it crashed"
	}
	return d
}

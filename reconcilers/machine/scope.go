package machine

import (
	"time"

	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/kubevirt"
	"slipway.dev/slipway/reconcilers/machine/change"
	"slipway.dev/slipway/reconcilers/machine/power"
)

// readiness is whether one dependency of a machine is as it should be. Before
// its step ran it is not known.
type readiness struct {
	known, ok       bool
	reason, message string
}

func ready(reason, message string) readiness {
	return readiness{known: true, ok: true, reason: reason, message: message}
}

func notReady(reason, message string) readiness {
	return readiness{known: true, reason: reason, message: message}
}

// scope is what one run observed.
type scope struct {
	vm  *v1alpha2.VirtualMachine
	now time.Time

	// engine is the KubeVirt machine, nil when there is none (step observe,
	// changed by the steps after it).
	engine *kubevirtv1.VirtualMachine
	// instance is the KubeVirt instance, nil when there is none (step observe).
	instance *kubevirtv1.VirtualMachineInstance
	// pods that hold the instance, newest first (step observe).
	pods []v1alpha2.VirtualMachinePod
	// record is what the KubeVirt machine was made from (step observe).
	record record

	// class is nil when it is missing (step class).
	class      *v1alpha2.VirtualMachineClass
	classReady readiness
	// sizeFits is only known when the class is there (step size).
	sizeFits readiness

	// address is nil when it is missing (step address).
	address      *v1alpha2.VirtualMachineIPAddress
	addressReady readiness

	// devices are resolved in the order of the spec (step disks).
	devices      []device
	devicesReady readiness
	// devicesHeld tells that every disk is given to this machine (step disks).
	devicesHeld bool

	provisioningReady readiness

	// built is what the KubeVirt machine should be made from, nil with buildErr
	// or when something is missing (step build).
	built    *kubevirtv1.VirtualMachine
	buildErr error
	// changes from the applied to the wanted configuration (step build).
	changes []change.Change

	// action is what the power table asks for, done or not (step power).
	action power.Action
}

// device is a block device with what the status tells of it.
type device struct {
	kubevirt.Device
	size string
}

// state is the state of the instance in the words of the power table.
func (s *scope) state() power.Instance {
	switch i := s.instance; {
	case i == nil:
		return power.Absent
	case !i.DeletionTimestamp.IsZero():
		return power.Stopping
	case i.Status.Phase == kubevirtv1.Succeeded && i.Status.Reason == reasonGuestReset:
		return power.Reset
	case i.Status.Phase == kubevirtv1.Succeeded:
		return power.ShutDown
	case i.Status.Phase == kubevirtv1.Failed:
		return power.Failed
	case i.Status.Phase == kubevirtv1.Running || i.Status.Phase == kubevirtv1.Unknown:
		return power.Running
	default:
		return power.Launching
	}
}

// reasonGuestReset is the reason of an instance that ended because its guest
// reset itself.
const reasonGuestReset = "GuestReset"

// complete tells whether everything that the machine depends on is there, so
// that its configuration can be applied.
func (s *scope) complete() bool {
	for _, r := range []readiness{s.classReady, s.sizeFits, s.addressReady, s.devicesReady, s.provisioningReady} {
		if !r.ok {
			return false
		}
	}
	return s.built != nil
}

// applied tells whether the KubeVirt machine has the wanted configuration.
func (s *scope) applied() bool {
	return s.engine != nil && s.built != nil && s.record.hash == hashOf(s.built) && change.Largest(s.changes) < change.Restart
}

// restartRequested tells whether somebody asked to restart this very instance.
func (s *scope) restartRequested() bool {
	if s.engine == nil {
		return false
	}
	asked, ok := s.engine.Annotations[restartAnnotation]
	return ok && (asked == requested || s.instance != nil && asked == string(s.instance.UID))
}

func (s *scope) startRequested() bool {
	if s.engine == nil {
		return false
	}
	_, asked := s.engine.Annotations[startAnnotation]
	return asked
}

// stuck tells that an instance was created and waits for something that only
// another configuration may bring.
func (s *scope) stuck() bool {
	return s.state() == power.Launching && s.engine != nil && phases[s.engine.Status.PrintableStatus] == v1alpha2.MachinePending
}

// awaiting tells that the running guest has another configuration than wanted.
func (s *scope) awaiting() bool {
	return s.state().Alive() && change.Largest(s.changes) == change.Restart
}

// inFlight tells whether a request of the kind waits for KubeVirt.
func (s *scope) inFlight(action kubevirtv1.StateChangeRequestAction) bool {
	if s.engine == nil {
		return false
	}
	for _, r := range s.engine.Status.StateChangeRequests {
		if r.Action == action {
			return true
		}
	}
	return false
}

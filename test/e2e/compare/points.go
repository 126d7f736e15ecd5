package compare

import (
	"fmt"

	virtv1 "kubevirt.io/api/core/v1"
)

// Point is where in a scenario a machine is looked at.
type Point string

// The points. At each, the engine has come to rest.
const (
	Running        Point = "running"
	Restarted      Point = "restarted"        // with a core more
	Stopped        Point = "stopped"          // by an operation
	PoweredOff     Point = "powered-off"      // by the guest
	CrashedAndBack Point = "crashed-and-back" // after QEMU was killed
	Unschedulable  Point = "unschedulable"    // no node has what is asked for
)

// points are all of them.
var points = []Point{Running, Restarted, Stopped, PoweredOff, CrashedAndBack, Unschedulable}

// rest says what is still to come at a point.
func rest(at Point, o Objects) error {
	switch at {
	case Stopped, PoweredOff:
		return saysOf(o, virtv1.VirtualMachineStatusStopped)
	case Unschedulable:
		return saysOf(o, virtv1.VirtualMachineStatusUnschedulable)
	}
	if err := saysOf(o, virtv1.VirtualMachineStatusRunning); err != nil {
		return err
	}
	for _, c := range o.Machine.Status.Conditions {
		if c.Type == virtv1.VirtualMachineConditionType(virtv1.VirtualMachineInstanceAgentConnected) {
			return guestIsSeen(o.Instance)
		}
	}
	return fmt.Errorf("the guest's agent has not answered: %+v", o.Machine.Status.Conditions)
}

func saysOf(o Objects, want virtv1.VirtualMachinePrintableStatus) error {
	if s := o.Machine.Status; s.PrintableStatus != want || len(s.StateChangeRequests) > 0 {
		return fmt.Errorf("KubeVirt's machine is %s with requests %v, and is to be %s", s.PrintableStatus, s.StateChangeRequests, want)
	}
	return nil
}

// guestIsSeen: what the agent knows comes in by and by.
func guestIsSeen(vmi *virtv1.VirtualMachineInstance) error {
	if vmi == nil || vmi.Status.GuestOSInfo.Name == "" {
		return fmt.Errorf("the guest's system is not known")
	}
	for _, i := range vmi.Status.Interfaces {
		if i.InterfaceName == "" {
			return fmt.Errorf("interface %s has no name in the guest", i.Name)
		}
	}
	return nil
}

package compare

import (
	"slices"
	"strings"
)

// difference is a field, or what begins it, that local/node writes otherwise than KubeVirt, where, and why.
type difference struct {
	field  string
	at     []Point
	reason string
}

var (
	whereItRuns  = []Point{Running, Restarted, CrashedAndBack}
	whereItRan   = append([]Point{PoweredOff}, whereItRuns...)
	withInstance = append([]Point{Unschedulable}, whereItRan...)
	sinceItRan   = append([]Point{Stopped}, whereItRan...)
)

// differences are all of them.
var differences = []difference{
	{"instance.activePods", whereItRan, "no pods on one machine: QEMU is a process of the host"},
	{"instance.conditions[LiveMigratable]", whereItRan, "one machine has no other to move to; the engine's storage can be reached from any node"},
	{"instance.conditions[PodScheduled].message", []Point{Unschedulable}, "KubeVirt repeats the scheduler's words; local/node names the label or the size that is missing"},
	{"instance.conditions[StorageLiveMigratable]", whereItRan, "there is no other storage to migrate to"},
	{"instance.guestOSInfo", []Point{PoweredOff}, "what is known of a guest ends with it; KubeVirt leaves it there"},
	{"instance.interfaces", []Point{PoweredOff}, "as above"},
	{"instance.launcherContainerImageVersion", withInstance, "there is no launcher"},
	{"instance.migrationMethod", whereItRan, "there is no migration"},
	{"instance.migrationTransport", whereItRan, "there is no migration"},
	{"instance.qosClass", withInstance, "a pod's"},
	{"instance.reason", []Point{PoweredOff}, "local/node tells how an instance ended"},
	{"instance.runtimeUser", withInstance, "QEMU runs as the user of the process"},
	{"instance.selinuxContext", whereItRan, "a pod's"},
	{"instance.virtualMachineRevisionName", withInstance, "there are no revisions: an instance keeps the spec that it was started with"},
	{"instance.volumeStatus[cloudinit].size", whereItRan, "the image of first-boot data is made by each in its own size"},
	{"instance.volumeStatus[vd-web-root].persistentVolumeClaimInfo.filesystemOverhead", whereItRan, "a disk on one machine is not a file in a file system of its own"},
	{"instance.volumeStatus[cloudinit].name", []Point{PoweredOff}, "the image of first-boot data goes with the process"},
	{"instance.volumeStatus[cloudinit].target", []Point{PoweredOff}, "as above"},
	{"instance.volumeStatus[vd-web-root].target", []Point{PoweredOff}, "no device is left"},
	{"machine.conditions[LiveMigratable]", sinceItRan, "see the instance"},
	{"machine.conditions[PodScheduled].message", []Point{Unschedulable}, "see the instance"},
	{"machine.conditions[StorageLiveMigratable]", sinceItRan, "see the instance"},
}

// known are the differences at a point.
func known(at Point) []difference {
	return slices.DeleteFunc(slices.Clone(differences), func(d difference) bool { return !slices.Contains(d.at, at) })
}

func (d difference) covers(field string) bool {
	rest, found := strings.CutPrefix(field, d.field)
	return found && (rest == "" || strings.ContainsRune(".[", rune(rest[0])))
}

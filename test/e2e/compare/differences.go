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

// where a guest runs.
var whereItRuns = []Point{Running, Restarted, CrashedAndBack}

// differences are all of them.
var differences = []difference{
	{"instance.activePods", whereItRuns, "no pods on one machine: QEMU is a process of the host"},
	{"instance.conditions[DataVolumesReady]", whereItRuns, "summarizes DataVolumes, which local/node shows on the volumes themselves"},
	{"instance.conditions[StorageLiveMigratable]", whereItRuns, "there is no second node to migrate storage to"},
	{"instance.launcherContainerImageVersion", whereItRuns, "there is no launcher"},
	{"instance.machine.type", whereItRuns, "the version of the machine type comes from the QEMU of the launcher's image"},
	{"instance.migrationMethod", whereItRuns, "there is no migration"},
	{"instance.migrationTransport", whereItRuns, "there is no migration"},
	{"instance.qosClass", whereItRuns, "a pod's"},
	{"instance.runtimeUser", whereItRuns, "QEMU runs as the user of the process"},
	{"instance.selinuxContext", whereItRuns, "a pod's"},
	{"instance.virtualMachineRevisionName", whereItRuns, "there are no revisions: an instance keeps the spec that it was started with"},
	{"instance.volumeStatus[cloudinit].size", whereItRuns, "the image of first-boot data is made by each in its own size"},
	{"instance.volumeStatus[vd-web-root].persistentVolumeClaimInfo.filesystemOverhead", whereItRuns, "a disk on one machine is not a file in a file system of its own"},
	{"machine.conditions[DataVolumesReady]", whereItRuns, "see the instance"},
	{"machine.conditions[StorageLiveMigratable]", whereItRuns, "see the instance"},
	{"machine.volumeSnapshotStatuses", whereItRuns, "Slipway asks the classes itself"},
}

// known are the differences at a point.
func known(at Point) []difference {
	return slices.DeleteFunc(slices.Clone(differences), func(d difference) bool { return !slices.Contains(d.at, at) })
}

func (d difference) covers(field string) bool {
	rest, found := strings.CutPrefix(field, d.field)
	return found && (rest == "" || strings.ContainsRune(".[", rune(rest[0])))
}

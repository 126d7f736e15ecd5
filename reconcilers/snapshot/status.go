package snapshot

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// The condition that tells why a deletion waits, as disks and images have it; DVP
// has none on snapshots.
const (
	TerminatingType = "Terminating"
	CleanupPending  = "CleanupPending"
)

// phases are those that a reason of VirtualDiskSnapshotReady stands for.
var phases = map[string]v1alpha2.SnapshotPhase{
	vdscondition.WaitingForTheVirtualDisk:  v1alpha2.SnapshotPending,
	vdscondition.PotentiallyInconsistent:   v1alpha2.SnapshotPending,
	vdscondition.FileSystemFreezing:        v1alpha2.SnapshotInProgress,
	vdscondition.FileSystemUnfreezing:      v1alpha2.SnapshotInProgress,
	vdscondition.Snapshotting:              v1alpha2.SnapshotInProgress,
	vdscondition.VirtualDiskSnapshotFailed: v1alpha2.SnapshotFailed,
	vdscondition.Lost:                      v1alpha2.SnapshotFailed,
}

// statusOf is the status of the snapshot that the scope describes.
func statusOf(s *scope, result flow.Result) v1alpha2.VirtualDiskSnapshotStatus {
	status := *s.old.DeepCopy()
	c := flow.Conditions{List: &status.Conditions, Generation: s.snapshot.Generation, Now: s.now}
	if s.deleting() {
		status.Phase = v1alpha2.SnapshotTerminating
		c.True(TerminatingType, CleanupPending, result.Outcome.Message())
		return status
	}
	status.ObservedGeneration = s.snapshot.Generation
	if s.consistent != nil {
		status.Consistent = s.consistent
	}
	if s.volume != nil {
		status.VolumeSnapshotName = s.volume.Name
	}
	reportDisk(c, s)
	reportSnapshot(&status, c, s, result.Outcome)
	return status
}

func reportDisk(c flow.Conditions, s *scope) {
	switch {
	case s.diskProblem != "":
		c.False(vdscondition.VirtualDiskReadyType, vdscondition.VirtualDiskNotReadyForSnapshotting, s.diskProblem)
	case s.claim != nil && s.volume == nil, s.volume != nil:
		c.True(vdscondition.VirtualDiskReadyType, vdscondition.VirtualDiskReady, "")
	}
}

func reportSnapshot(status *v1alpha2.VirtualDiskSnapshotStatus, c flow.Conditions, s *scope, outcome flow.Outcome) {
	const ready = vdscondition.VirtualDiskSnapshotReadyType
	if outcome.IsDone() {
		status.Phase = v1alpha2.SnapshotReady
		c.Set(ready, metav1.ConditionTrue, vdscondition.VirtualDiskSnapshotReady, "")
		return
	}
	if s.wasReady() && !s.lost() { // an error of ours does not make it less ready
		return
	}
	phase, known := phases[outcome.Reason()]
	if !known {
		phase = status.Phase
	}
	if phase == "" {
		phase = v1alpha2.SnapshotPending
	}
	status.Phase = phase
	reason := outcome.Reason()
	if !known {
		reason = vdscondition.WaitingForTheVirtualDisk
	}
	c.False(ready, reason, outcome.Message())
}

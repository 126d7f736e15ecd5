package disk

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/refuse"
)

// The condition that tells why a deletion waits; DVP has it in later versions.
const (
	TerminatingType = "Terminating"
	CleanupPending  = "CleanupPending"
)

// StorageClassProvisionerMismatch is the reason of Ready when the storage class
// cannot restore the snapshot that the disk is made from; DVP has it in later
// versions.
const StorageClassProvisionerMismatch = "StorageClassProvisionerMismatch"

// verdict is the phase and the condition Ready of a disk.
type verdict struct {
	phase   v1alpha2.DiskPhase
	ready   metav1.ConditionStatus
	reason  string
	message string
}

// statusOf is the status of the disk that the scope describes.
func statusOf(s *scope, result flow.Result) v1alpha2.VirtualDiskStatus {
	status := *s.old.DeepCopy()
	c := flow.Conditions{List: &status.Conditions, Generation: s.disk.Generation, Now: s.now}
	reportMachines(&status, c, s)
	if s.deleting() {
		status.Phase = v1alpha2.DiskTerminating
		c.True(TerminatingType, CleanupPending, result.Outcome.Message())
		return status
	}
	reportReadiness(c, vdcondition.StorageClassReadyType, s.class.readiness)
	reportReadiness(c, vdcondition.DatasourceReadyType, s.source.readiness)
	v := judge(s, result)
	status.Phase = v.phase
	c.Set(vdcondition.ReadyType, v.ready, v.reason, v.message)
	reportGrowth(c, s)
	reportSnapshots(c, s)
	reportMove(c, s)
	reportVolume(&status, s)
	reportProgress(&status, s)
	reportUpload(&status, s)
	reportStats(&status, s)
	if s.current {
		status.ObservedGeneration = s.disk.Generation
	}
	return status
}

// judge decides phase and Ready; the first line that holds counts.
func judge(s *scope, result flow.Result) verdict {
	const no, yes = metav1.ConditionFalse, metav1.ConditionTrue
	switch {
	case result.Outcome.IsFailed():
		return interrupted(s, result.Outcome.Message())
	case s.lost() && s.exported():
		return verdict{v1alpha2.DiskExporting, no, vdcondition.Exporting, "the volume of claim " + volumeName(s.disk) + " is being exported"}
	case s.lost():
		return verdict{v1alpha2.DiskPVCLost, no, vdcondition.PVCLost, "the volume " + volumeName(s.disk) + " of the disk is gone; restore it, or delete the disk"}
	case s.filled() && s.growth.pending:
		return verdict{v1alpha2.DiskResizing, yes, vdcondition.Ready, ""}
	case s.filled():
		return verdict{v1alpha2.DiskReady, yes, vdcondition.Ready, readyRemark(s)}
	case s.source.refused:
		return verdict{v1alpha2.DiskFailed, no, vdcondition.ProvisioningFailed, s.source.message}
	case s.source.missing:
		return verdict{v1alpha2.DiskPending, no, vdcondition.DatasourceIsNotFound, s.source.message}
	case !s.source.ready:
		return verdict{v1alpha2.DiskPending, no, vdcondition.DatasourceIsNotReady, s.source.message}
	case s.class.mismatch:
		return verdict{v1alpha2.DiskPending, no, StorageClassProvisionerMismatch, s.class.message}
	case !s.class.ready:
		return verdict{v1alpha2.DiskPending, no, vdcondition.StorageClassIsNotReady, s.class.message}
	case s.transfer != nil && s.transfer.Expired():
		return verdict{v1alpha2.DiskFailed, no, intake.WaitForUserUploadTimeout, intake.Describe(*s.transfer)}
	case s.transfer != nil && s.transfer.AwaitsUser() && s.transfer.Progress.Done == 0:
		return verdict{v1alpha2.DiskWaitForUserUpload, no, vdcondition.WaitForUserUpload, s.transfer.Invitation()}
	case s.transfer != nil && s.transfer.AwaitsUser():
		return verdict{v1alpha2.DiskProvisioning, no, vdcondition.Provisioning, s.transfer.Invitation()}
	case s.transfer != nil && s.transfer.Stands() && s.transfer.NotPulled():
		return verdict{v1alpha2.DiskPending, no, vdcondition.ImagePullFailed, intake.Describe(*s.transfer)}
	case s.transfer != nil && s.transfer.Stands():
		return verdict{v1alpha2.DiskFailed, no, vdcondition.ProvisioningFailed, intake.Describe(*s.transfer)}
	case s.transfer != nil && s.transfer.Phase != importer.Succeeded:
		return verdict{v1alpha2.DiskProvisioning, no, vdcondition.Provisioning, "the content is being imported into DVCR"}
	case s.size.problem != "":
		return verdict{v1alpha2.DiskFailed, no, vdcondition.ProvisioningFailed, s.size.problem}
	default:
		return judgeVolume(s, result)
	}
}

// judgeVolume goes on where all that comes before the volume is there.
func judgeVolume(s *scope, result flow.Result) verdict {
	const no = metav1.ConditionFalse
	switch s.provisioning.stage {
	case quotaExceeded:
		return verdict{v1alpha2.DiskPending, no, vdcondition.QuotaExceeded, s.provisioning.message}
	case awaitingConsumer:
		return verdict{v1alpha2.DiskWaitForFirstConsumer, no, vdcondition.WaitingForFirstConsumer, "the volume is made when a machine wants the disk"}
	case notPulled:
		return verdict{v1alpha2.DiskPending, no, vdcondition.ImagePullFailed, s.provisioning.message}
	case failing:
		return verdict{v1alpha2.DiskFailed, no, vdcondition.ProvisioningFailed, s.provisioning.message}
	case running:
		return verdict{v1alpha2.DiskProvisioning, no, vdcondition.Provisioning, "the volume is being made"}
	default:
		return verdict{v1alpha2.DiskPending, no, vdcondition.ProvisioningNotStarted, result.Outcome.Message()}
	}
}

// interrupted is the verdict of a run that met an error of ours: what was known
// stays, and a disk that is not ready says what stopped it.
func interrupted(s *scope, message string) verdict {
	phase := s.old.Phase
	if phase == "" {
		phase = v1alpha2.DiskPending
	}
	before := meta.FindStatusCondition(s.old.Conditions, vdcondition.ReadyType)
	if before != nil && s.wasFilled() {
		return verdict{phase, before.Status, before.Reason, before.Message}
	}
	return verdict{phase, metav1.ConditionFalse, vdcondition.ProvisioningNotStarted, message}
}

// readyRemark says what a user should know of a disk that is ready.
func readyRemark(s *scope) string {
	if s.claim == nil {
		return ""
	}
	if !s.claim.DeletionTimestamp.IsZero() {
		return "claim " + s.claim.Name + " was deleted by somebody; its data stays until the disk is deleted, but a machine may fail to start with it"
	}
	made := s.claim.Annotations[madeFromSource]
	if made != "" && made != sourceDigest(s.disk) {
		return "the data source in the spec is not the one that the disk was made from; the disk keeps its data, make a new disk for the new source"
	}
	return ""
}

func reportMachines(status *v1alpha2.VirtualDiskStatus, c flow.Conditions, s *scope) {
	if !s.machines.known {
		return
	}
	status.AttachedToVirtualMachines = s.machines.list
	if s.machines.image != "" && !s.machines.active {
		c.True(vdcondition.InUseType, vdcondition.UsedForImageCreation, s.machines.image+" is being made from the disk")
		return
	}
	if s.machines.export && !s.machines.active {
		c.True(vdcondition.InUseType, vdcondition.UsedForDataExport, "an export of the disk's volume has been asked for")
		return
	}
	if s.held() {
		c.True(vdcondition.InUseType, vdcondition.AttachedToVirtualMachine, "used by machine "+s.machines.holder)
		return
	}
	c.False(vdcondition.InUseType, vdcondition.NotInUse, "")
}

// reportSnapshots has Snapshotting present while a snapshot of the disk is taken,
// or waits for it.
func reportSnapshots(c flow.Conditions, s *scope) {
	switch {
	case s.snapshots.taking != "":
		c.True(vdcondition.SnapshottingType, vdcondition.Snapshotting, "VirtualDiskSnapshot "+s.snapshots.taking+" is being taken")
	case s.snapshots.waiting != "" && s.growth.pending:
		c.False(vdcondition.SnapshottingType, vdcondition.NotAvailable, "VirtualDiskSnapshot "+s.snapshots.waiting+" waits until the disk has grown")
	default:
		c.Remove(vdcondition.SnapshottingType)
	}
}

func reportReadiness(c flow.Conditions, conditionType string, r readiness) {
	switch {
	case !r.known:
	case r.ready:
		c.True(conditionType, r.reason, r.message)
	default:
		c.False(conditionType, r.reason, r.message)
	}
}

// reportGrowth has Resizing present while the size in the spec is not had.
func reportGrowth(c flow.Conditions, s *scope) {
	switch {
	case s.growth.problem != "":
		c.False(vdcondition.ResizingType, resizingNotAvailable, s.growth.problem)
	case s.growth.pending:
		c.True(vdcondition.ResizingType, vdcondition.InProgress, "the volume is growing")
	case s.filled():
		c.Remove(vdcondition.ResizingType)
	}
}

// reportMove refuses to move a filled disk to another storage class.
func reportMove(c flow.Conditions, s *scope) {
	asked := ptr.Deref(s.disk.Spec.PersistentVolumeClaim.StorageClassName, "")
	if s.filled() && asked != "" && s.claimedClass() != "" && asked != s.claimedClass() {
		c.False(vdcondition.MigratingType, refuse.NotSupported, fmt.Sprintf("moving the disk from storage class %s to %s is not supported by this version; the disk stays where it is", s.claimedClass(), asked))
		return
	}
	c.Remove(vdcondition.MigratingType)
}

func reportVolume(status *v1alpha2.VirtualDiskStatus, s *scope) {
	if s.class.ready {
		status.StorageClassName = s.class.name
		status.Target.PersistentVolumeClaimName = volumeName(s.disk)
	}
	if s.source.uid != "" {
		status.SourceUID = ptr.To(string(s.source.uid))
	}
	if s.claim == nil || !s.filled() {
		return
	}
	capacity := s.claim.Status.Capacity[corev1.ResourceStorage]
	if !capacity.IsZero() {
		status.Capacity = capacity.String()
	}
}

// reportProgress counts the way into DVCR as the first half where there is one.
func reportProgress(status *v1alpha2.VirtualDiskStatus, s *scope) {
	if s.transfer != nil {
		if speed := intake.Speed(*s.transfer); speed != nil {
			status.DownloadSpeed = speed
		}
	}
	points := -1.0
	switch {
	case s.filled():
		points = 100
	case s.transfer != nil && s.transfer.Phase != importer.Succeeded:
		points = intake.Share(s.transfer.Progress) * 50
	case s.external() && (s.transfer != nil || s.underway()):
		points = 50 + volumePoints(s)/2
	case s.maker() != nil:
		points = volumePoints(s)
	}
	if points >= 0 {
		status.Progress = intake.Points(points)
	}
}

// reportUpload shows where a user may upload to while that is awaited.
func reportUpload(status *v1alpha2.VirtualDiskStatus, s *scope) {
	status.ImageUploadURLs, status.UploadCommand = nil, ""
	if s.transfer != nil {
		status.ImageUploadURLs, status.UploadCommand = s.transfer.UploadURLs(), s.transfer.UploadCommand()
	}
}

// volumePoints is the progress of a DataVolume or claim, which CDI writes as
// "12.34%" or N/A.
func volumePoints(s *scope) float64 {
	progress := ""
	switch {
	case s.volume != nil:
		progress = string(s.volume.Status.Progress)
	case s.direct():
		progress = s.claim.Annotations[fillingProgress]
	}
	points, err := strconv.ParseFloat(strings.TrimSuffix(progress, "%"), 64)
	if err != nil || points < 0 {
		return 0
	}
	return min(points, 100)
}

// reportStats notes how long the steps of the creation took, each once.
func reportStats(status *v1alpha2.VirtualDiskStatus, s *scope) {
	age := s.now.Sub(s.disk.CreationTimestamp.Time).Round(time.Millisecond)
	took := &status.Stats.CreationDuration
	if took.WaitingForDependencies == nil && !s.wasFilled() && s.source.ready && s.class.ready {
		took.WaitingForDependencies = &metav1.Duration{Duration: age}
	}
	if took.DVCRProvisioning == nil && took.WaitingForDependencies != nil && s.transfer != nil && s.transfer.Phase == importer.Succeeded {
		took.DVCRProvisioning = &metav1.Duration{Duration: age - took.WaitingForDependencies.Duration}
	}
	if took.TotalProvisioning == nil && !s.wasFilled() && s.filled() {
		took.TotalProvisioning = &metav1.Duration{Duration: age}
	}
}

// readyMessage and resizingMessage are what the status said before this run.
func (s *scope) readyMessage() string { return s.messageOf(vdcondition.ReadyType) }

func (s *scope) resizingMessage() string { return s.messageOf(vdcondition.ResizingType) }

func (s *scope) messageOf(conditionType string) string {
	before := meta.FindStatusCondition(s.old.Conditions, conditionType)
	if before == nil {
		return ""
	}
	return before.Message
}

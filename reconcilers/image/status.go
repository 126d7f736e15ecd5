package image

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/refuse"
)

// Conditions and reasons beside those of DVP v1.8: InUse and Terminating are
// DVP's own of later versions, UsedForDiskCreation and UsedForImageCreation are
// Slipway's.
const (
	InUseType                = "InUse"
	AttachedToVirtualMachine = "AttachedToVirtualMachine"
	UsedForDiskCreation      = "UsedForDiskCreation"
	UsedForImageCreation     = "UsedForImageCreation"
	NotInUse                 = "NotInUse"

	TerminatingType = "Terminating"
	CleanupPending  = "CleanupPending"
)

// verdict is the phase and the condition Ready of an image.
type verdict struct {
	phase   v1alpha2.ImagePhase
	ready   metav1.ConditionStatus
	reason  string
	message string
}

// statusOf is the status of the image that the scope describes.
func statusOf(s *scope, result flow.Result) v1alpha2.VirtualImageStatus {
	status := *s.old.DeepCopy()
	c := flow.Conditions{List: &status.Conditions, Generation: s.object.GetGeneration(), Now: s.now}
	reportUse(c, s.users)
	if s.deleting() {
		status.Phase = v1alpha2.ImageTerminating
		c.True(TerminatingType, CleanupPending, result.Outcome.Message())
		return status
	}
	reportStorage(c, s)
	reportSource(c, s.source)
	v := judge(s, result)
	status.Phase = v.phase
	c.Set(vicondition.ReadyType, v.ready, v.reason, v.message)
	reportContent(&status, s)
	if s.current {
		status.ObservedGeneration = s.object.GetGeneration()
	}
	return status
}

// judge decides phase and Ready; the first line that holds counts.
func judge(s *scope, result flow.Result) verdict {
	no := metav1.ConditionFalse
	switch {
	case result.Outcome.IsFailed():
		return interrupted(s, result.Outcome.Message())
	case s.source.reason == refuse.NotSupported:
		return verdict{v1alpha2.ImageFailed, no, vicondition.ProvisioningFailed, s.source.message}
	case s.onVolume() && s.volume.stage == volumeLost:
		return verdict{v1alpha2.ImagePVCLost, no, vicondition.PVCLost, s.volume.message}
	case s.lost:
		return verdict{v1alpha2.ImageLost, no, vicondition.ImageLost, s.artifact + " is gone from DVCR; restore the registry, or delete and create the image"}
	case s.imported():
		return verdict{v1alpha2.ImageReady, metav1.ConditionTrue, vicondition.Ready, ""}
	case !s.source.ready:
		return verdict{v1alpha2.ImagePending, no, s.traits.waiting, s.source.message}
	case s.onVolume() && !s.classFound.ready:
		return verdict{v1alpha2.ImagePending, no, vicondition.StorageClassNotReady, s.classFound.message}
	case s.restoring != "":
		return verdict{v1alpha2.ImageProvisioning, no, vicondition.Provisioning, s.restoring}
	case s.transfer == nil:
		return verdict{v1alpha2.ImagePending, no, vicondition.ProvisioningNotStarted, ""}
	case s.transfer.Phase == importer.Succeeded && s.onVolume():
		return judgeVolume(s.volume)
	case s.transfer.Phase == importer.Succeeded:
		return verdict{v1alpha2.ImageReady, metav1.ConditionTrue, vicondition.Ready, ""}
	case s.transfer.Expired():
		return verdict{v1alpha2.ImageFailed, no, intake.WaitForUserUploadTimeout, intake.Describe(*s.transfer)}
	case s.transfer.AwaitsUser() && s.transfer.Progress.Done == 0:
		return verdict{v1alpha2.ImageWaitForUserUpload, no, vicondition.WaitForUserUpload, s.transfer.Invitation()}
	case s.transfer.AwaitsUser():
		return verdict{v1alpha2.ImageProvisioning, no, vicondition.Provisioning, s.transfer.Invitation()}
	case s.transfer.Stands() && s.transfer.NotPulled() && s.traits.pull:
		return verdict{v1alpha2.ImagePending, no, vicondition.ImagePullFailed, intake.Describe(*s.transfer)}
	case s.transfer.Stands():
		return verdict{v1alpha2.ImageFailed, no, vicondition.ProvisioningFailed, intake.Describe(*s.transfer)}
	default:
		return verdict{v1alpha2.ImageProvisioning, no, vicondition.Provisioning, "the content is being imported into DVCR"}
	}
}

// judgeVolume goes on where the image is in DVCR.
func judgeVolume(v volume) verdict {
	const no = metav1.ConditionFalse
	switch v.stage {
	case volumeFilled:
		return verdict{v1alpha2.ImageReady, metav1.ConditionTrue, vicondition.Ready, ""}
	case volumeDenied:
		return verdict{v1alpha2.ImagePending, no, vicondition.QuotaExceeded, v.message}
	case volumeNotPulled:
		return verdict{v1alpha2.ImagePending, no, vicondition.ImagePullFailed, v.message}
	case volumeFails:
		return verdict{v1alpha2.ImageFailed, no, vicondition.ProvisioningFailed, v.message}
	default:
		return verdict{v1alpha2.ImageProvisioning, no, vicondition.Provisioning, "the image is being written to its volume"}
	}
}

// interrupted is the verdict of a run that met an error of ours: what was known
// stays, and an image that is not ready says what stopped it.
func interrupted(s *scope, message string) verdict {
	phase := s.old.Phase
	if phase == "" {
		phase = v1alpha2.ImagePending
	}
	before := meta.FindStatusCondition(s.old.Conditions, vicondition.ReadyType)
	if before != nil && s.imported() {
		return verdict{phase, before.Status, before.Reason, before.Message}
	}
	return verdict{phase, metav1.ConditionFalse, vicondition.ProvisioningNotStarted, message}
}

func reportUse(c flow.Conditions, u users) {
	switch {
	case !u.known:
	case len(u.machines) > 0:
		c.True(InUseType, AttachedToVirtualMachine, "used by "+u.String())
	case len(u.disks) > 0:
		c.True(InUseType, UsedForDiskCreation, "used by "+u.String())
	case len(u.images) > 0:
		c.True(InUseType, UsedForImageCreation, "used by "+u.String())
	default:
		c.False(InUseType, NotInUse, "")
	}
}

// reportStorage says that DVCR keeps the image, so that no class is needed.
func reportStorage(c flow.Conditions, s *scope) {
	switch {
	case !s.traits.storage:
	case s.onVolume() && !s.classFound.known:
	case s.onVolume() && s.classFound.ready:
		c.True(vicondition.StorageClassReadyType, s.classFound.reason, "")
	case s.onVolume():
		c.False(vicondition.StorageClassReadyType, s.classFound.reason, s.classFound.message)
	default:
		c.Unknown(vicondition.StorageClassReadyType, vicondition.DVCRTypeUsed, "the image is kept in DVCR and needs no storage class")
	}
}

func reportSource(c flow.Conditions, source readiness) {
	switch {
	case !source.known:
	case source.ready:
		c.True(vicondition.DatasourceReadyType, source.reason, source.message)
	default:
		c.False(vicondition.DatasourceReadyType, source.reason, source.message)
	}
}

// points are the progress in percent; for an image on a volume, the way into
// DVCR is the first half.
func (s *scope) points() float64 {
	points := intake.Share(s.transfer.Progress) * 100
	if s.transfer.Phase == importer.Succeeded {
		points = 100
	}
	if s.onVolume() {
		points = (points + s.volume.points) / 2
	}
	return points
}

// reportContent writes what the import brought so far.
func reportContent(status *v1alpha2.VirtualImageStatus, s *scope) {
	if s.imported() || status.Phase == v1alpha2.ImageReady {
		status.Target.RegistryURL = s.registryURL
	}
	if s.onVolume() && s.class != "" {
		status.StorageClassName = s.class
	}
	if s.onVolume() && status.Phase == v1alpha2.ImageReady {
		status.Target.PersistentVolumeClaimName = volumeName(s.object)
	}
	if s.sourceUID != "" {
		status.SourceUID = ptr.To(string(s.sourceUID))
	}
	t := s.transfer
	if t == nil {
		return
	}
	status.ImageUploadURLs, status.UploadCommand = t.UploadURLs(), t.UploadCommand()
	if speed := intake.Speed(*t); speed != nil {
		status.DownloadSpeed = speed
	}
	status.Progress = intake.Points(s.points())
	if t.Phase != importer.Succeeded {
		return
	}
	if t.Result != nil {
		status.Format = t.Result.Format
		status.CDROM = t.Result.CDROM
		status.Size = intake.Size(t.Result)
	}
}

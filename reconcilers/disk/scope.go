package disk

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// scope is what one run knows of a disk.
type scope struct {
	disk *v1alpha2.VirtualDisk
	// old is the status before this run.
	old v1alpha2.VirtualDiskStatus
	now time.Time

	// claim and volume are set by "observe"; nil when they are not there.
	claim  *corev1.PersistentVolumeClaim
	volume *cdiv1.DataVolume
	// machines is set by "machines": every machine that names the disk.
	machines attachments
	// snapshots is set by "snapshots": those of the disk that are not taken yet.
	snapshots snapshots
	// class is set by "class".
	class storageClass
	// source is set by "source".
	source source
	// current is set by "restart": what is known belongs to the present spec.
	current bool
	// transfer is set by "import"; nil when nothing comes from outside.
	transfer *intake.Transfer
	// size is set by "size".
	size sizing
	// provisioning is set by "volume".
	provisioning provisioning
	// growth is set by "resize".
	growth growth
}

// readiness is whether something that the disk depends on is ready.
type readiness struct {
	known   bool
	ready   bool
	reason  string
	message string
}

// storageClass is the class that was chosen.
type storageClass struct {
	readiness
	name       string
	object     *storagev1.StorageClass
	firstClaim bool
	// mismatch tells that the class cannot restore the snapshot that the disk is
	// made from.
	mismatch bool
}

// source is where the content comes from.
type source struct {
	readiness
	// missing tells that what the disk is made from is not there, refused that
	// this version cannot read it.
	missing bool
	refused bool
	// external is an import into DVCR; nil when there is none.
	external *importer.Source
	// url is the artifact in DVCR that fills the volume, without a scheme; empty
	// for a blank disk.
	url string
	// uid is that of the image, unpacked its size in bytes, cdrom that it is an
	// ISO.
	uid      types.UID
	unpacked int64
	cdrom    bool
	// snapshot is what a claim is filled from by the storage itself; nil when a
	// DataVolume fills it.
	snapshot *volumeSnapshot
}

// sizing is how large the volume shall be, or why that cannot be.
type sizing struct {
	value   resource.Quantity
	problem string
}

// lost tells that a disk that was ready has no volume any more.
func (s *scope) lost() bool {
	return s.wasFilled() && (s.claim == nil || s.claim.Status.Phase == corev1.ClaimLost)
}

// wasFilled tells that the disk was ready before this run.
func (s *scope) wasFilled() bool {
	ready := meta.FindStatusCondition(s.old.Conditions, vdcondition.ReadyType)
	return ready != nil && (ready.Status == metav1.ConditionTrue || ready.Reason == vdcondition.PVCLost || ready.Reason == vdcondition.Exporting)
}

// exported tells that somebody has asked for an export of the volume, which holds
// the disk's data.
func (s *scope) exported() bool {
	return s.claim != nil && s.filled() && s.claim.Annotations[annotations.DataExportRequest] == "true"
}

// filled tells that the volume is there with all of its content. From then on
// nothing but growth happens to it.
func (s *scope) filled() bool {
	if s.wasFilled() || s.kept() {
		return true
	}
	return s.claim != nil && s.claim.Status.Phase == corev1.ClaimBound &&
		(s.direct() || s.volume != nil && s.volume.Status.Phase == cdiv1.Succeeded)
}

// direct tells that the claim was made without a DataVolume: the storage fills it
// before it binds it.
func (s *scope) direct() bool { return s.claim != nil && metav1.IsControlledBy(s.claim, s.disk) }

// underway tells that the volume was filled, or is being made for this very
// spec: what it is made from was settled when that began.
func (s *scope) underway() bool {
	return s.filled() || s.maker() != nil && s.maker().GetDeletionTimestamp().IsZero() && !s.outdated()
}

// maker is what makes the volume, DataVolume or claim; nil when nothing does.
func (s *scope) maker() client.Object {
	switch {
	case s.volume != nil:
		return s.volume
	case s.direct():
		return s.claim
	default:
		return nil
	}
}

// outdated tells that the volume is made for an earlier spec.
func (s *scope) outdated() bool {
	return s.maker() != nil && s.maker().GetAnnotations()[madeFromSpec] != digest(s.disk.Spec)
}

// kept tells that the claim carries the mark that it gets once it was filled. It
// outlives a lost status and a deleted DataVolume.
func (s *scope) kept() bool {
	return s.claim != nil && controllerutil.ContainsFinalizer(s.claim, finalizers.PersistentVolumeClaimProtection)
}

func (s *scope) deleting() bool { return !s.disk.DeletionTimestamp.IsZero() }

// blank tells that the disk starts empty.
func (s *scope) blank() bool { return s.disk.Spec.DataSource == nil }

// external tells that the content comes from outside, by way of DVCR.
func (s *scope) external() bool {
	data := s.disk.Spec.DataSource
	return data != nil && data.Type != v1alpha2.DataSourceObjectRef
}

func (s *scope) request() intake.Request {
	return intake.Request{
		Controller: controllerName,
		Object:     client.ObjectKeyFromObject(s.disk),
		Generation: s.disk.Generation,
		Job: importer.Job{
			ID:          string(s.disk.UID),
			Source:      *s.source.external,
			Destination: artifactName(s.disk),
		},
	}
}

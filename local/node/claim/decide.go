package claim

import (
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/local/node/job"
)

// Situation is all that a decision depends on.
type Situation struct {
	Served   bool // the claim's class is this provisioner's, or the finalizer says that it was
	Held     bool // the finalizer is there
	Deleting bool
	Others   []string // finalizers that are not Kubernetes' own or this package's
	User     string   // who uses the volume
	Refused  string   // why the claim cannot be served
	Waits    bool     // the class makes volumes when something uses them, and nothing does
	Copied   bool     // the disk is being copied into a snapshot
	Bound    bool
	Wanted   int64 // bytes requested
	Size     int64 // bytes of the volume; zero when there is none
	Job      *job.State
}

// Action is what to do about a claim.
type Action int

// The actions.
const (
	Leave     Action = iota
	Hold             // put the finalizer on it
	Postpone         // say that the volume is made when something uses it
	Provision        // make the volume, or see how that goes
	Bind
	Grow
	Release // remove the volume and let the claim go
)

// Decide is the state machine of a claim.
func Decide(s Situation) Action {
	switch {
	case !s.Served:
		return Leave
	case s.Deleting && (len(s.Others) > 0 || s.User != ""):
		return Leave
	case s.Deleting:
		return Release
	case s.Refused != "":
		return Leave
	case !s.Held:
		return Hold
	case s.Size == 0 && s.Waits:
		return Postpone
	case s.Size == 0:
		return Provision
	case !s.Bound:
		return Bind
	case s.Wanted > s.Size && !s.Copied:
		return Grow
	}
	return Leave
}

// others are the finalizers that somebody else has to lift.
func others(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return f == Finalizer || f == claimProtection })
}

// refuse says why a claim cannot be served, or nothing.
func refuse(pvc *corev1.PersistentVolumeClaim) string {
	source := pvc.Annotations[AnnotationSource]
	switch {
	case !fillable(pvc.Spec.DataSource, pvc.Spec.DataSourceRef):
		return "this node fills a claim from a VolumeSnapshot of its own namespace only: name one in dataSource, or use a DataVolume with a registry or blank source"
	case pvc.Spec.Selector != nil:
		return "this node makes volumes and does not choose among existing ones: remove selector"
	case !slices.Contains([]string{"", SourceRegistry, SourceBlank}, source):
		return "this node cannot import from source " + source
	case pvc.Spec.Resources.Requests.Storage().Sign() <= 0:
		return "the claim requests no size"
	}
	return ""
}

// fillable says whether what a claim is to be filled from is nothing, or a snapshot.
func fillable(local *corev1.TypedLocalObjectReference, ref *corev1.TypedObjectReference) bool {
	isSnapshot := func(group *string, kind string) bool {
		return ptr.Deref(group, "") == snapshotv1.GroupName && kind == "VolumeSnapshot"
	}
	return (local == nil || isSnapshot(local.APIGroup, local.Kind)) &&
		(ref == nil || isSnapshot(ref.APIGroup, ref.Kind) && ptr.Deref(ref.Namespace, "") == "")
}

// SnapshotOf names the VolumeSnapshot that a claim is to be filled from, or nothing.
func SnapshotOf(pvc *corev1.PersistentVolumeClaim) string {
	switch {
	case pvc.Spec.DataSourceRef != nil:
		return pvc.Spec.DataSourceRef.Name
	case pvc.Spec.DataSource != nil:
		return pvc.Spec.DataSource.Name
	}
	return ""
}

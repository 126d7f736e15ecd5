package claim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

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
	case s.Size == 0:
		return Provision
	case !s.Bound:
		return Bind
	case s.Wanted > s.Size:
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
	case pvc.Spec.DataSource != nil || pvc.Spec.DataSourceRef != nil:
		return "this node cannot fill a claim from dataSource: use a DataVolume with a registry or blank source"
	case pvc.Spec.Selector != nil:
		return "this node makes volumes and does not choose among existing ones: remove selector"
	case !slices.Contains([]string{"", SourceRegistry, SourceBlank}, source):
		return "this node cannot import from source " + source
	case pvc.Spec.Resources.Requests.Storage().Sign() <= 0:
		return "the claim requests no size"
	}
	return ""
}

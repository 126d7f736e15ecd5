package lineage

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
)

// Origin is an object that an image is made from.
type Origin struct {
	Kind v1alpha2.ObjectRefKind
	Key  types.NamespacedName
}

// String names the origin for a message.
func (o Origin) String() string { return named(string(o.Kind), o.Key) }

// Of finds the object that an image is made from; false when it is made from none.
// A VirtualImage cannot name another namespace than its own; whoever may make a
// cluster image may read every namespace.
func Of(image client.Object) (Origin, bool) {
	switch o := image.(type) {
	case *v1alpha2.VirtualImage:
		if ref := o.Spec.DataSource.ObjectRef; ref != nil && o.Spec.DataSource.Type == v1alpha2.DataSourceObjectRef {
			return origin(ref.Kind, o.Namespace, ref.Name), true
		}
	case *v1alpha2.ClusterVirtualImage:
		if ref := o.Spec.DataSource.ObjectRef; ref != nil && o.Spec.DataSource.Type == v1alpha2.DataSourceObjectRef {
			return origin(ref.Kind, ref.Namespace, ref.Name), true
		}
	}
	return Origin{}, false
}

func origin(kind v1alpha2.ObjectRefKind, namespace, name string) Origin {
	if kind == v1alpha2.ObjectRefClusterVirtualImage {
		namespace = ""
	}
	return Origin{kind, types.NamespacedName{Namespace: namespace, Name: name}}
}

// Reads tells whether an image needs its origin right now: it is being made, and
// nobody has asked for it to go. One that waits for a quota or an importer has
// begun.
func Reads(image client.Object) bool {
	var phase v1alpha2.ImagePhase
	var conditions []metav1.Condition
	switch o := image.(type) {
	case *v1alpha2.VirtualImage:
		phase, conditions = o.Status.Phase, o.Status.Conditions
	case *v1alpha2.ClusterVirtualImage:
		phase, conditions = o.Status.Phase, o.Status.Conditions
	}
	switch {
	case !image.GetDeletionTimestamp().IsZero():
		return false
	case phase == v1alpha2.ImagePending:
		ready := meta.FindStatusCondition(conditions, vicondition.ReadyType)
		return ready != nil && (ready.Reason == vicondition.QuotaExceeded || ready.Reason == vicondition.ImagePullFailed)
	default:
		return phase == v1alpha2.ImageProvisioning
	}
}

// Fills tells whether a disk needs what it is made from right now: its volume is
// being filled, or has begun and waits, be it for its first consumer. One that has
// failed fills its volume if that has made progress, be it none.
func Fills(vd *v1alpha2.VirtualDisk) bool {
	if !vd.DeletionTimestamp.IsZero() {
		return false
	}
	switch vd.Status.Phase {
	case v1alpha2.DiskProvisioning, v1alpha2.DiskWaitForFirstConsumer:
		return true
	case v1alpha2.DiskPending:
		ready := meta.FindStatusCondition(vd.Status.Conditions, vdcondition.ReadyType)
		return ready != nil && (ready.Reason == vdcondition.QuotaExceeded || ready.Reason == vdcondition.ImagePullFailed)
	case v1alpha2.DiskFailed:
		return vd.Status.Progress != ""
	default:
		return false
	}
}

// Name names an image for a message; a cluster image has no namespace.
func Name(image types.NamespacedName) string {
	if image.Namespace == "" {
		return named(v1alpha2.ClusterVirtualImageKind, image)
	}
	return named(v1alpha2.VirtualImageKind, image)
}

func named(kind string, key types.NamespacedName) string {
	if key.Namespace == "" {
		return kind + " " + key.Name
	}
	return kind + " " + key.String()
}

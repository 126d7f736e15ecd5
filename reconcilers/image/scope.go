package image

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/lineage"
)

// scope is what one run knows of an image.
type scope struct {
	// object is the image as it was fetched, traits what its kind brings.
	object client.Object
	traits traits
	// spec, pullSecret and old are the image's spec, the Secret it pulls with and
	// its status before this run, in VirtualImage's terms for both kinds.
	spec       v1alpha2.VirtualImageSpec
	pullSecret types.NamespacedName
	// origin is the object that the image is made from, if it is made from one.
	origin lineage.Origin
	old    v1alpha2.VirtualImageStatus
	// artifact is the image's name in DVCR, registryURL the same with the host.
	artifact    string
	registryURL string
	now         time.Time

	// current is set by "restart": what is known of the import belongs to the
	// present spec.
	current bool
	// class and classFound are set by "class", for an image on a volume.
	class      string
	classFound readiness
	// volume is set by "volume", for an image on a volume.
	volume volume
	// users is set by "users".
	users users
	// source is set by "source": whether the source can be read.
	source readiness
	// content is set by "source": the same, as the importer wants it.
	content importer.Source
	// sourceUID is set by "source": the UID of the object that is copied.
	sourceUID types.UID
	// restoring is set by "source": what the storage is doing to make a snapshot
	// readable; empty when there is nothing to wait for.
	restoring string
	// transfer is set by "content" or "import"; nil when the image was imported
	// before.
	transfer *intake.Transfer
	// lost is set by "presence".
	lost bool
}

// readiness is whether something that the image depends on is ready.
type readiness struct {
	known   bool
	ready   bool
	reason  string
	message string
}

// imported tells whether the image was ready before, lost or not.
func (s *scope) imported() bool {
	ready := meta.FindStatusCondition(s.old.Conditions, vicondition.ReadyType)
	return ready != nil && (ready.Status == metav1.ConditionTrue || ready.Reason == vicondition.ImageLost || ready.Reason == vicondition.PVCLost)
}

// unpacked is the length of the disk, known once the image is in DVCR.
func (s *scope) unpacked() int64 {
	if s.transfer == nil || s.transfer.Result == nil {
		return 0
	}
	return s.transfer.Result.VirtualSize
}

func (s *scope) wasLost() bool {
	return s.old.Phase == v1alpha2.ImageLost
}

func (s *scope) deleting() bool {
	return !s.object.GetDeletionTimestamp().IsZero()
}

func (s *scope) request() intake.Request {
	return intake.Request{
		Controller: s.traits.controller,
		Object:     client.ObjectKeyFromObject(s.object),
		Generation: s.object.GetGeneration(),
		Job: importer.Job{
			ID:          string(s.object.GetUID()),
			Source:      s.content,
			Destination: s.artifact,
		},
	}
}

// container is the container image source with the pull secret left out.
func (s *scope) container() *v1alpha2.ContainerImageSource {
	return s.spec.DataSource.ContainerImage
}

// credentials reads the login for the image's registry.
func (s *scope) credentials(secret *corev1.Secret) (intake.Login, error) {
	return intake.LoginFor(secret, string(s.container().Image))
}

package image

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/lineage"
	"slipway.dev/slipway/reconcilers/image/wake"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

// Deps are the collaborators of the image controllers.
type Deps struct {
	// Desk runs the imports. The caller adds it to the manager.
	Desk *intake.Desk
	// InPods tells that imports run in pods, for which late binding volumes are bound.
	InPods bool
	// Shelf is DVCR.
	Shelf intake.Shelf
	// Secrets reads pull secrets; nil means the manager's API reader, so that no
	// Secret is cached.
	Secrets client.Reader
	// Login lets CDI pull from DVCR images that are kept on volumes; reading should
	// be all that it allows. Authority holds DVCR's certificates in PEM, if it has
	// its own.
	Login     intake.LoginOf
	Authority []byte
	// Classes are those that images on volumes may have, and the one of images that
	// name none.
	Classes storageclass.Policy
	// SignedBy says who must have signed every container image: somebody of each.
	SignedBy []signatures.Trust
	Clock    clock.PassiveClock
	// Metrics may be nil.
	Metrics *flow.Metrics
	// Registry is told the phases of images; it may be nil.
	Registry prometheus.Registerer
	// CheckEvery is how often a ready image is looked for in DVCR; zero means
	// five minutes.
	CheckEvery time.Duration
}

const defaultCheckEvery = 5 * time.Minute

// SetupWithManager adds the controllers of VirtualImage and ClusterVirtualImage.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Secrets == nil {
		deps.Secrets = mgr.GetAPIReader()
	}
	if err := index(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if deps.Registry != nil {
		if err := register(deps.Registry, mgr.GetClient()); err != nil {
			return err
		}
	}
	if err := add(mgr, virtualImage(), &v1alpha2.VirtualImageList{}, deps); err != nil {
		return err
	}
	return add(mgr, clusterVirtualImage(), &v1alpha2.ClusterVirtualImageList{}, deps)
}

func add[O client.Object](mgr ctrl.Manager, k kind[O], list client.ObjectList, deps Deps) error {
	r := reconciler(k, newEngine(mgr.GetClient(), deps), flow.Deps{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder(k.controller),
		Clock:    deps.Clock,
		Metrics:  deps.Metrics,
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named(k.controller).
		For(k.newObject(), builder.WithPredicates(wake.NotByStatus())).
		Watches(&v1alpha2.VirtualMachine{}, enqueueImages(k.traits, imagesOfMachine), builder.WithPredicates(machineUse())).
		Watches(&v1alpha2.VirtualDisk{}, enqueueImages(k.traits, imageOfDisk), builder.WithPredicates(diskUse())).
		Watches(&v1alpha2.VirtualImage{}, enqueueImages(k.traits, originsOf), builder.WithPredicates(imageUse())).
		Watches(&v1alpha2.ClusterVirtualImage{}, enqueueImages(k.traits, originsOf), builder.WithPredicates(imageUse())).
		Watches(&v1alpha2.VirtualImage{}, enqueueMade(mgr.GetClient(), list, v1alpha2.VirtualImageKind)).
		Watches(&v1alpha2.ClusterVirtualImage{}, enqueueMade(mgr.GetClient(), list, v1alpha2.ClusterVirtualImageKind)).
		Watches(&v1alpha2.VirtualDisk{}, enqueueMade(mgr.GetClient(), list, v1alpha2.VirtualDiskKind)).
		Watches(&v1alpha2.VirtualDiskSnapshot{}, enqueueMade(mgr.GetClient(), list, v1alpha2.VirtualDiskSnapshotKind)).
		Watches(&cdiv1.DataVolume{}, enqueueImages(k.traits, imageOfVolume)).
		Watches(&corev1.PersistentVolumeClaim{}, enqueueImages(k.traits, imageOfVolume)).
		WatchesMetadata(&corev1.Secret{}, enqueueBySecret(mgr.GetClient(), list)).
		WatchesRawSource(deps.Desk.Feed(k.controller)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("add controller %s: %w", k.controller, err)
	}
	return nil
}

// engine does the steps of both kinds.
type engine struct {
	client     client.Client
	secrets    client.Reader
	desk       *intake.Desk
	inPods     bool
	shelf      intake.Shelf
	dvcrLogin  intake.LoginOf
	authority  []byte
	classes    storageclass.Policy
	signedBy   []signatures.Trust
	clock      clock.PassiveClock
	checkEvery time.Duration
	checks     *checks
	contents   *contents
}

func newEngine(c client.Client, deps Deps) *engine {
	every := deps.CheckEvery
	if every == 0 {
		every = defaultCheckEvery
	}
	return &engine{
		client:     c,
		secrets:    deps.Secrets,
		desk:       deps.Desk,
		inPods:     deps.InPods,
		shelf:      deps.Shelf,
		dvcrLogin:  deps.Login,
		authority:  deps.Authority,
		classes:    deps.Classes,
		signedBy:   deps.SignedBy,
		clock:      deps.Clock,
		checkEvery: every,
		checks:     newChecks(),
		contents:   newContents(),
	}
}

// reconciler is the table of contents: what happens to an image, in order.
func reconciler[O client.Object](k kind[O], e *engine, deps flow.Deps) *flow.Reconciler[O, *scope] {
	return flow.New(flow.Definition[O, *scope]{
		Name:      k.controller,
		Finalizer: k.cleanup,
		New:       k.newObject,
		Scope:     func(o O) *scope { return newScope(k, e, o) },
		Steps: []flow.Step[*scope]{
			{Name: "restart", Do: e.restart},
			{Name: "users", Do: e.findUsers},
			{Name: "content", Do: e.findContent},
			{Name: "source", Do: e.resolveSource},
			{Name: "class", Do: e.chooseClass},
			{Name: "import", Do: e.importContent},
			{Name: "volume", Do: e.fillVolume},
			{Name: "tidy", Do: e.tidy},
			{Name: "presence", Do: e.checkPresence},
		},
		Teardown: []flow.Step[*scope]{
			{Name: "users", Do: e.findUsers},
			{Name: "release", Do: e.release},
		},
		Report: func(s *scope, result flow.Result) {
			if o, ok := s.object.(O); ok {
				k.report(o, statusOf(s, result), s.users)
			}
		},
		Every: e.interval,
	}, deps)
}

func newScope[O client.Object](k kind[O], e *engine, o O) *scope {
	spec, secret := k.spec(o)
	artifact := k.repository(o) + ":" + string(o.GetUID())
	from, _ := lineage.Of(o)
	return &scope{
		object:      o,
		traits:      k.traits,
		spec:        spec,
		pullSecret:  secret,
		origin:      from,
		old:         k.status(o),
		artifact:    artifact,
		registryURL: e.shelf.Address() + "/" + artifact,
		now:         e.clock.Now(),
	}
}

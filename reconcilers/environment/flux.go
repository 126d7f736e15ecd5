package environment

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/flux"
	"slipway.dev/slipway/sources/store"
)

// definitionDelay is how long to wait until a kind that the cluster does not know
// is looked for again.
const definitionDelay = 10 * time.Second

// Imports fetches with a client and keeps what came in a store.
type Imports struct {
	Client *flux.Client
	Store  *store.Store
}

// Import implements Importer.
func (i Imports) Import(ctx context.Context, a flux.Archive) (digest string, size int64, err error) {
	files, err := i.Client.Fetch(ctx, a)
	if err != nil {
		return "", 0, err
	}
	defer files.Close() //nolint:errcheck // it is stored, or fetched again
	return i.Store.PutWithSize(ctx, files)
}

// fluxSource is what matters of a source of Flux's API.
type fluxSource struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Suspend bool `json:"suspend"`
	} `json:"spec"`
	Status struct {
		Artifact *struct {
			URL      string `json:"url"`
			Digest   string `json:"digest"`
			Revision string `json:"revision"`
			Size     int64  `json:"size"`
		} `json:"artifact"`
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// unready says why a source cannot be relied on; nothing when it can.
func (f *fluxSource) unready() string {
	ready := meta.FindStatusCondition(f.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case ready == nil:
		return "was not looked at yet"
	case ready.Status != metav1.ConditionTrue:
		return "is not ready: " + ready.Message
	case ready.ObservedGeneration != 0 && ready.ObservedGeneration < f.Generation:
		return "has not taken up its last change yet"
	}
	return ""
}

// refusal is why nothing new is taken from a source; done when it may be.
func (f *fluxSource) refusal(ref v1alpha1.SourceReference) flow.Outcome {
	switch why := f.unready(); {
	case f.Spec.Suspend:
		return flow.Wait(v1alpha1.SourceSuspendedReason, 0, "%s %s of Flux is suspended, so nothing new is taken from it; resume it", ref.Kind, ref.Name)
	case f.Status.Artifact == nil && why == "":
		return flow.Wait(v1alpha1.SourceNotReadyReason, 0, "%s %s of Flux has no artifact yet", ref.Kind, ref.Name)
	case why != "":
		return flow.Wait(v1alpha1.SourceNotReadyReason, 0, "%s", clip(fmt.Sprintf("%s %s of Flux %s", ref.Kind, ref.Name, why)))
	}
	return flow.Done()
}

// takeOver finds the tree of a Flux source, and fetches it when it is a new one.
// When that fails, what was taken before stays in use.
func (r *reconciler) takeOver(ctx context.Context, s *scope) flow.Outcome {
	before := s.env.Status.SourceArtifact
	if before != nil && before.SourceRef != s.env.Spec.SourceRef {
		before = nil
	}
	taken, outcome := r.newest(ctx, s, before)
	if taken == nil {
		taken, s.stale = before, &outcome
	}
	if taken == nil {
		return outcome
	}
	files, err := r.trees.Tree(taken.Digest)
	switch {
	case errors.Is(err, store.ErrNotFound) && s.stale != nil:
		return outcome
	case err != nil:
		return flow.Fail(v1alpha1.SourceNotReadyReason, err)
	}
	s.taken = taken
	s.tree = Tree{Files: files, Digest: taken.Digest, Revision: taken.Revision}
	return flow.Done()
}

// newest is the artifact that a source has now; none when it is not to be had, and
// then the outcome says why.
func (r *reconciler) newest(ctx context.Context, s *scope, before *v1alpha1.SourceArtifact) (*v1alpha1.SourceArtifact, flow.Outcome) {
	source, outcome := r.fluxSource(ctx, s.env)
	if source == nil {
		return nil, outcome
	}
	if a := source.Status.Artifact; a != nil && before != nil && a.Digest == before.ArchiveDigest && r.stored(before.Digest) {
		same := before.DeepCopy()
		same.Revision = a.Revision
		return same, flow.Done()
	}
	if refusal := source.refusal(s.env.Spec.SourceRef); !refusal.IsDone() {
		return nil, refusal
	}
	return r.bring(ctx, s, source)
}

func (r *reconciler) stored(digest string) bool {
	_, err := r.trees.Tree(digest)
	return err == nil
}

// bring fetches and stores what a source serves.
func (r *reconciler) bring(ctx context.Context, s *scope, source *fluxSource) (*v1alpha1.SourceArtifact, flow.Outcome) {
	a := source.Status.Artifact
	digest, size, err := r.importer.Import(ctx, flux.Archive{URL: a.URL, Digest: a.Digest, Size: a.Size})
	switch {
	case errors.Is(err, flux.ErrRefused), errors.Is(err, store.ErrRefused):
		return nil, flow.Stall(v1alpha1.SourceRefusedReason, "%s", clip(err.Error()))
	case errors.Is(err, flux.ErrForbidden), errors.Is(err, flux.ErrDigest):
		return nil, flow.Fail(v1alpha1.SourceRefusedReason, clipped{err})
	case err != nil:
		return nil, flow.Fail(v1alpha1.ArtifactFetchFailedReason, clipped{err})
	}
	if r.collect != nil {
		if err := r.collect(ctx, digest); err != nil {
			return nil, flow.Fail(v1alpha1.StorageOperationFailedReason, err)
		}
	}
	return &v1alpha1.SourceArtifact{
		Artifact:  v1alpha1.Artifact{Revision: a.Revision, Digest: digest, Size: size, LastUpdateTime: metav1.NewTime(s.now)},
		SourceRef: s.env.Spec.SourceRef, ArchiveDigest: a.Digest,
	}, flow.Done()
}

// fluxSource reads the source that an Environment names; none when it is not
// there, and then the outcome says so.
func (r *reconciler) fluxSource(ctx context.Context, env *v1alpha1.Environment) (*fluxSource, flow.Outcome) {
	ref := env.Spec.SourceRef
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind))
	err := r.readForeign(ctx, client.ObjectKey{Namespace: env.Namespace, Name: ref.Name}, u)
	switch {
	case meta.IsNoMatchError(err):
		return nil, flow.Wait(v1alpha1.SourceNotFoundReason, definitionDelay, "the cluster has no kind %s in %s; install Flux's source-controller, or correct spec.sourceRef", ref.Kind, ref.APIVersion)
	case apierrors.IsNotFound(err):
		return nil, flow.Wait(v1alpha1.SourceNotFoundReason, 0, "there is no %s %s of Flux in namespace %s; create it or correct spec.sourceRef", ref.Kind, ref.Name, env.Namespace)
	case err != nil:
		return nil, flow.Fail(v1alpha1.SourceNotReadyReason, fmt.Errorf("read %s %s of Flux: %w", ref.Kind, ref.Name, err))
	}
	source := &fluxSource{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, source); err != nil {
		return nil, flow.Stall(v1alpha1.SourceNotReadyReason, "%s %s of Flux is not as Flux writes it: %s", ref.Kind, ref.Name, err)
	}
	return source, flow.Done()
}

// readForeign reads through an informer, which the first one who asks starts, once
// the cluster knows the kind.
func (r *reconciler) readForeign(ctx context.Context, key client.ObjectKey, u *unstructured.Unstructured) error {
	if r.foreign == nil {
		return r.reader.Get(ctx, key, u) //nolint:wrapcheck // the caller wraps it
	}
	gvk := u.GroupVersionKind()
	if err := r.foreign.ensure(ctx, gvk); err != nil {
		return err
	}
	if !r.foreign.has(gvk) {
		return &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}}
	}
	return r.foreign.cache.Get(ctx, key, u) //nolint:wrapcheck // the caller wraps it
}

// newForeign are the informers of Flux's sources.
func newForeign(sources cache.Cache, c controller.Controller, reader client.Reader) *watches {
	return &watches{cache: sources, controller: c, handler: users{reader}.handler(), started: map[schema.GroupVersionKind]bool{}}
}

// users wake the Environments that refer to a Flux source.
type users struct{ reader client.Reader }

func (w users) handler() handler.TypedEventHandler[*unstructured.Unstructured, reconcile.Request] {
	return handler.TypedFuncs[*unstructured.Unstructured, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*unstructured.Unstructured], q queue) {
			w.wake(ctx, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*unstructured.Unstructured], q queue) {
			if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				w.wake(ctx, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*unstructured.Unstructured], q queue) {
			w.wake(ctx, e.Object, q)
		},
	}
}

func (w users) wake(ctx context.Context, u *unstructured.Unstructured, q queue) {
	list := &v1alpha1.EnvironmentList{}
	if err := w.reader.List(ctx, list, client.InNamespace(u.GetNamespace())); err != nil {
		log.FromContext(ctx).Error(err, "list Environments of a source")
		return
	}
	named := v1alpha1.SourceReference{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Name: u.GetName()}
	for i := range list.Items {
		if list.Items[i].Spec.SourceRef == named {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: list.Items[i].Namespace, Name: list.Items[i].Name}})
		}
	}
}

package environment

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/store"
)

// accept refuses what this version cannot do and finds the identity to act as.
func (r *reconciler) accept(_ context.Context, s *scope) flow.Outcome {
	if s.env.Spec.Suspend {
		s.suspended = true
		return flow.Wait(v1alpha1.SuspendedReason, 0, "spec.suspend is true; nothing is rendered, applied or pruned")
	}
	if fields := unsupported(s.env.Spec); len(fields) > 0 {
		return flow.Stall(v1alpha1.NotSupportedReason, "this version does not implement %s; remove it", strings.Join(fields, ", "))
	}
	if err := s.compile(); err != nil {
		return stop(v1alpha1.InvalidCELExpressionReason, err)
	}
	return r.impersonate(s)
}

func (r *reconciler) impersonate(s *scope) flow.Outcome {
	account := s.env.Spec.ServiceAccountName
	if account == "" {
		account = r.defaultServiceAccount
	}
	if account == "" {
		return flow.Stall(v1alpha1.ServiceAccountRequiredReason, "spec.serviceAccountName is empty; name a ServiceAccount of namespace %s that may apply the objects", s.env.Namespace)
	}
	s.account = types.NamespacedName{Namespace: s.env.Namespace, Name: account}
	c, err := r.clients.As(s.account)
	if err != nil {
		return flow.Fail(v1alpha1.ApplyFailedReason, err)
	}
	s.client = c
	return flow.Done()
}

// observe finds the source's artifact in the store.
func (r *reconciler) observe(ctx context.Context, s *scope) flow.Outcome {
	ref := s.env.Spec.SourceRef
	if ref.IsFlux() {
		return r.takeOver(ctx, s)
	}
	source := sourceOf(ref.Kind)
	err := r.reader.Get(ctx, client.ObjectKey{Namespace: s.env.Namespace, Name: ref.Name}, source)
	artifact, conditions := artifactOf(source)
	switch {
	case apierrors.IsNotFound(err):
		return flow.Wait(v1alpha1.SourceNotFoundReason, 0, "there is no %s %s in namespace %s; create it or correct spec.sourceRef", ref.Kind, ref.Name, s.env.Namespace)
	case err != nil:
		return flow.Fail(v1alpha1.SourceNotReadyReason, err)
	case artifact == nil:
		return flow.Wait(v1alpha1.SourceNotReadyReason, 0, "%s %s has no artifact yet%s", ref.Kind, ref.Name, sourceTrouble(conditions))
	}
	files, err := r.trees.Tree(artifact.Digest)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.lost(artifact.Revision)
	case err != nil:
		return flow.Fail(v1alpha1.SourceNotReadyReason, err)
	}
	s.tree = Tree{Files: files, Digest: artifact.Digest, Revision: artifact.Revision}
	return flow.Done()
}

// lostDelay is how long to wait until a lost artifact is looked for again when no
// watch tells of it: another source of the same tree may have brought it back.
const lostDelay = 5 * time.Second

// lost waits for the source, which watches for this reason and fetches at once.
func (s *scope) lost(revision string) flow.Outcome {
	ref := s.env.Spec.SourceRef
	return flow.Wait(v1alpha1.ArtifactLostReason, lostDelay, "the artifact %s of %s %s is no longer stored; the source fetches it again", revision, ref.Kind, ref.Name)
}

// sourceOf makes an empty source of a kind.
func sourceOf(kind string) client.Object {
	if kind == v1alpha1.OCIRepositoryKind {
		return &v1alpha1.OCIRepository{}
	}
	return &v1alpha1.GitRepository{}
}

// artifactOf is what a source of any kind delivers, and what it says about itself.
func artifactOf(source client.Object) (*v1alpha1.Artifact, []metav1.Condition) {
	switch s := source.(type) {
	case *v1alpha1.GitRepository:
		return s.Status.Artifact, s.Status.Conditions
	case *v1alpha1.OCIRepository:
		return s.Status.Artifact, s.Status.Conditions
	}
	return nil, nil
}

// sourceTrouble is what a source without an artifact says about itself.
func sourceTrouble(conditions []metav1.Condition) string {
	for _, c := range conditions {
		if c.Type == v1alpha1.ReadyCondition && c.Message != "" {
			return ": " + c.Message
		}
	}
	return ""
}

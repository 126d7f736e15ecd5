package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/store"
)

// scope is what one run observed. Only Report writes the object.
type scope struct {
	repo *v1alpha1.GitRepository
	now  time.Time
	// remote with its credentials. Set by login.
	remote git.Remote
	// revision that the reference points to. Set by resolve.
	revision git.Revision
	// artifact that is current. Set by fetch.
	artifact *v1alpha1.Artifact
	// suspended says that the spec asks for nothing to be done.
	suspended bool
}

// unsupported lists the fields of a spec that this version does not implement.
func unsupported(spec v1alpha1.GitRepositorySpec) []string {
	var fields []string
	if spec.Verification != nil {
		fields = append(fields, "spec.verify")
	}
	if spec.RecurseSubmodules {
		fields = append(fields, "spec.recurseSubmodules")
	}
	return fields
}

func accept(_ context.Context, s *scope) flow.Outcome {
	if s.repo.Spec.Suspend {
		s.suspended = true
		return flow.Wait(v1alpha1.SuspendedReason, 0, "spec.suspend is true; the artifact that is there stays in use")
	}
	if fields := unsupported(s.repo.Spec); len(fields) > 0 {
		return flow.Stall(v1alpha1.NotSupportedReason, "this version does not implement %s; remove it", strings.Join(fields, ", "))
	}
	return flow.Done()
}

func (r *reconciler) login(ctx context.Context, s *scope) flow.Outcome {
	remote, err := RemoteOf(ctx, r.secrets, s.repo)
	if err != nil {
		return flow.Fail(reasonOf(err), err)
	}
	s.remote = remote
	return flow.Done()
}

// resolve asks where the reference points, which costs one request.
func (r *reconciler) resolve(ctx context.Context, s *scope) flow.Outcome {
	revision, err := r.git.Resolve(ctx, s.remote, refOf(s.repo.Spec.Reference))
	if err != nil {
		return flow.Fail(reasonOf(err), err)
	}
	s.revision = revision
	return flow.Done()
}

// fetch stores the revision unless it is stored already.
func (r *reconciler) fetch(ctx context.Context, s *scope) flow.Outcome {
	selection := selectionDigest(s.repo.Spec)
	if current := s.repo.Status.Artifact; current != nil && current.Revision == s.revision.String() && current.SelectionDigest == selection && r.has(current.Digest) {
		s.artifact = current
		return flow.Done()
	}
	digest, size, err := r.bring(ctx, s)
	switch {
	case errors.Is(err, git.ErrMoved):
		return flow.Wait(v1alpha1.ProgressingReason, time.Second, "the reference moved while it was fetched; it is resolved again")
	case err != nil:
		return flow.Fail(reasonOf(err), err)
	}
	s.artifact = &v1alpha1.Artifact{
		Revision: s.revision.String(), Digest: digest, Size: size, SelectionDigest: selection, LastUpdateTime: metav1.NewTime(s.now),
	}
	flow.Emit(ctx, v1alpha1.ArtifactUpdatedReason, "stored %s (%d bytes)", s.artifact.Revision, size)
	return flow.Done()
}

func (r *reconciler) bring(ctx context.Context, s *scope) (digest string, size int64, err error) {
	options := git.Options{Sparse: s.repo.Spec.SparseCheckout}
	if s.repo.Spec.Ignore != nil {
		options.Ignore = *s.repo.Spec.Ignore
	}
	tree, err := r.git.Fetch(ctx, s.remote, s.revision, options)
	if err != nil {
		return "", 0, fmt.Errorf("fetch %s: %w", s.revision, err)
	}
	return r.put(ctx, s.revision.String(), tree)
}

// collect removes the trees that no source names any more. The one that this
// source named until now is still in its status and stays until the next change,
// for those who read it right now.
func (r *reconciler) collect(ctx context.Context, s *scope) flow.Outcome {
	if old := s.repo.Status.Artifact; old != nil && old.Digest == s.artifact.Digest {
		return flow.Done()
	}
	if err := r.keep(ctx, s.artifact.Digest); err != nil {
		return flow.Fail(v1alpha1.StorageOperationFailedReason, err)
	}
	return flow.Done()
}

func reasonOf(err error) string {
	var stored *storeError
	switch {
	case errors.Is(err, git.ErrAuth), errors.Is(err, ErrCredentials):
		return v1alpha1.AuthenticationFailedReason
	case errors.Is(err, git.ErrRefused), errors.Is(err, store.ErrRefused):
		return v1alpha1.SourceRefusedReason
	case errors.Is(err, git.ErrNotFound):
		return v1alpha1.ReferenceNotFoundReason
	case errors.As(err, &stored):
		return v1alpha1.StorageOperationFailedReason
	default:
		return v1alpha1.GitOperationFailedReason
	}
}

func refOf(ref *v1alpha1.GitReference) git.Ref {
	if ref == nil {
		return git.Ref{}
	}
	return git.Ref{Branch: ref.Branch, Tag: ref.Tag, SemVer: ref.SemVer, Name: ref.Name, Commit: ref.Commit}
}

// selectionDigest names the fields that choose what a revision's artifact holds.
func selectionDigest(spec v1alpha1.GitRepositorySpec) string {
	if spec.Ignore == nil && len(spec.SparseCheckout) == 0 {
		return ""
	}
	content, err := json.Marshal(struct {
		Ignore *string
		Sparse []string
	}{spec.Ignore, spec.SparseCheckout})
	if err != nil {
		content = []byte(err.Error())
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *scope) conditions() []metav1.Condition { return s.repo.Status.Conditions }

// report writes the status. An artifact that was there stays when the run failed.
func report(s *scope, result flow.Result) {
	status := &s.repo.Status
	status.ObservedGeneration = s.repo.Generation
	status.LastHandledReconcileAt = s.repo.Annotations[v1alpha1.RequestedAtAnnotation]
	if s.artifact != nil {
		status.Artifact = s.artifact
	}
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.repo.Generation, Now: s.now}
	message := ""
	if s.artifact != nil {
		message = "stored " + s.artifact.Revision
	}
	conditions.Kstatus(result, v1alpha1.SucceededReason, message)
	if s.suspended {
		conditions.Remove(v1alpha1.ReconcilingCondition)
	}
}

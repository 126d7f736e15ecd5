package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/scrub"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/store"
	"slipway.dev/slipway/sources/verify"
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
	// keys that signatures are verified with; nil for none. Set by login.
	keys *verify.Keys
	// selection names what chooses the content of the artifact, the keys too. Set by
	// login.
	selection string
	// signers of the revision, empty when nothing was verified in this run. Set by
	// fetch.
	signers string
	// unverified is why the signatures do not satisfy the spec. Set by fetch.
	unverified error
	// suspended says that the spec asks for nothing to be done.
	suspended bool
}

func accept(_ context.Context, s *scope) flow.Outcome {
	if s.repo.Spec.Suspend {
		s.suspended = true
		return flow.Wait(v1alpha1.SuspendedReason, 0, "spec.suspend is true; the artifact that is there stays in use")
	}
	return flow.Done()
}

func (r *reconciler) login(ctx context.Context, s *scope) flow.Outcome {
	remote, err := RemoteOf(ctx, r.secrets, s.repo)
	if err != nil {
		return flow.Fail(reasonOf(err), err)
	}
	s.remote = remote
	if s.repo.Spec.Provider == providerGitHub && remote.Auth.App == nil {
		return flow.Stall(v1alpha1.AuthenticationFailedReason, "spec.provider is github and the Secret of spec.secretRef holds no GitHub App; it needs githubAppID, githubAppInstallationID and githubAppPrivateKey")
	}
	keys, fingerprint, err := r.keysOf(ctx, s.repo)
	if err != nil {
		return flow.Fail(reasonOf(err), err)
	}
	s.keys, s.selection = keys, selectionDigest(s.repo.Spec, fingerprint)
	return flow.Done()
}

// providerGitHub is the provider that logs in with a GitHub App.
const providerGitHub = "github"

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
	current := s.repo.Status.Artifact
	if current != nil && current.Revision == s.revision.String() && current.SelectionDigest == s.selection && s.verified() && r.has(current.Digest) {
		s.artifact = current
		return flow.Done()
	}
	if s.unverified = r.rejected.why(s); s.unverified != nil {
		return flow.Fail(v1alpha1.VerificationErrorReason, s.unverified)
	}
	digest, size, err := r.bring(ctx, s)
	switch {
	case errors.Is(err, git.ErrMoved):
		return flow.Wait(v1alpha1.ProgressingReason, time.Second, "the reference moved while it was fetched; it is resolved again")
	case s.unverified != nil:
		r.rejected.add(s)
		return flow.Fail(v1alpha1.VerificationErrorReason, s.unverified)
	case err != nil:
		return flow.Fail(reasonOf(err), err)
	}
	r.rejected.forget(s)
	s.artifact = &v1alpha1.Artifact{
		Revision: s.revision.String(), Digest: digest, Size: size, SelectionDigest: s.selection, LastUpdateTime: metav1.NewTime(s.now),
	}
	flow.Emit(ctx, v1alpha1.ArtifactUpdatedReason, "stored %s (%d bytes)", s.artifact.Revision, size)
	return flow.Done()
}

func (r *reconciler) bring(ctx context.Context, s *scope) (digest string, size int64, err error) {
	options := git.Options{Sparse: s.repo.Spec.SparseCheckout, Submodules: s.repo.Spec.RecurseSubmodules}
	if s.keys != nil {
		options.Verify = s.verify
	}
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
	case errors.Is(err, verify.ErrKeys):
		return v1alpha1.VerificationErrorReason
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

// selectionDigest names the fields that choose what a revision's artifact holds, and the keys it was verified with: when
// one of them changes, the revision is fetched and verified again.
func selectionDigest(spec v1alpha1.GitRepositorySpec, keys string) string {
	if spec.Ignore == nil && len(spec.SparseCheckout) == 0 && !spec.RecurseSubmodules && keys == "" {
		return ""
	}
	content, err := json.Marshal(struct {
		Ignore     *string
		Sparse     []string
		Submodules bool   `json:",omitempty"`
		Keys       string `json:",omitempty"`
	}{spec.Ignore, spec.SparseCheckout, spec.RecurseSubmodules, keys})
	if err != nil {
		content = []byte(err.Error())
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *scope) conditions() []metav1.Condition { return s.repo.Status.Conditions }

func (s *scope) scrubber() scrub.Scrubber { return s.remote.Scrubber() }

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
	reportVerification(s, conditions)
}

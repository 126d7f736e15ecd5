package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/oci"
	"slipway.dev/slipway/sources/store"
)

// bundles are the steps of an OCIRepository.
type bundles struct {
	*reconciler
	registries *oci.Client
}

// bundleScope is what one run observed. Only Report writes the object.
type bundleScope struct {
	repo *v1alpha1.OCIRepository
	now  time.Time
	// repository with its credentials. Set by login.
	repository *oci.Repository
	// revision that the reference points to. Set by resolve.
	revision oci.Revision
	// signer of the revision. Set by verify.
	signer string
	// unverified says why the revision is not taken. Set by verify.
	unverified error
	// artifact that is current. Set by fetch.
	artifact *v1alpha1.Artifact
	// suspended says that the spec asks for nothing to be done.
	suspended bool
}

func (s *bundleScope) conditions() []metav1.Condition { return s.repo.Status.Conditions }

func (b *bundles) definition() flow.Definition[*v1alpha1.OCIRepository, *bundleScope] {
	return flow.Definition[*v1alpha1.OCIRepository, *bundleScope]{
		Name: OCIName,
		New:  func() *v1alpha1.OCIRepository { return &v1alpha1.OCIRepository{} },
		Scope: func(repo *v1alpha1.OCIRepository) *bundleScope {
			return &bundleScope{repo: repo, now: b.clock.Now()}
		},
		Steps: []flow.Step[*bundleScope]{
			guarded("accept", acceptBundle),
			guarded("login", b.login),
			guarded("resolve", b.resolve),
			guarded("verify", b.verify),
			guarded("fetch", b.fetch),
			guarded("collect", b.collect),
		},
		Report: reportBundle,
		Every:  func(s *bundleScope) time.Duration { return b.every(s.repo.Spec.Interval) },
	}
}

func acceptBundle(_ context.Context, s *bundleScope) flow.Outcome {
	if s.repo.Spec.Suspend {
		s.suspended = true
		return flow.Wait(v1alpha1.SuspendedReason, 0, "spec.suspend is true; the artifact that is there stays in use")
	}
	return flow.Done()
}

func (b *bundles) login(ctx context.Context, s *bundleScope) flow.Outcome {
	remote, err := BundleRemoteOf(ctx, b.secrets, s.repo)
	if err != nil {
		return flow.Fail(bundleReason(err), err)
	}
	s.repository, err = b.registries.Repository(remote)
	if err != nil {
		return flow.Stall(bundleReason(err), "%s", err)
	}
	return flow.Done()
}

// resolve asks where the reference points, which costs one request.
func (b *bundles) resolve(ctx context.Context, s *bundleScope) flow.Outcome {
	var ref oci.Ref
	if r := s.repo.Spec.Reference; r != nil {
		ref = oci.Ref{Digest: r.Digest, SemVer: r.SemVer, SemVerFilter: r.SemVerFilter, Tag: r.Tag}
	}
	revision, err := s.repository.Resolve(ctx, ref)
	if err != nil {
		return flow.Fail(bundleReason(err), err)
	}
	s.revision = revision
	return flow.Done()
}

// fetch stores the revision unless its digest is stored already.
func (b *bundles) fetch(ctx context.Context, s *bundleScope) flow.Outcome {
	selection := bundleSelection(s.repo.Spec)
	if current := s.repo.Status.Artifact; current != nil && digestOf(current.Revision) == s.revision.Digest && current.SelectionDigest == selection && b.has(current.Digest) {
		s.artifact = current.DeepCopy()
		s.artifact.Revision = s.revision.String()
		return flow.Done()
	}
	artifact, err := b.bring(ctx, s)
	if err != nil {
		return flow.Fail(bundleReason(err), err)
	}
	artifact.SelectionDigest = selection
	s.artifact = artifact
	flow.Emit(ctx, v1alpha1.ArtifactUpdatedReason, "stored %s (%d bytes)", artifact.Revision, artifact.Size)
	return flow.Done()
}

func digestOf(revision string) string {
	r, err := oci.ParseRevision(revision)
	if err != nil {
		return ""
	}
	return r.Digest
}

func (b *bundles) bring(ctx context.Context, s *bundleScope) (*v1alpha1.Artifact, error) {
	var options oci.Options
	if l := s.repo.Spec.LayerSelector; l != nil {
		options.LayerMediaType, options.Copy = l.MediaType, l.Operation == v1alpha1.CopyLayer
	}
	if s.repo.Spec.Ignore != nil {
		options.Ignore = *s.repo.Spec.Ignore
	}
	bundle, err := s.repository.Fetch(ctx, s.revision, options)
	if err != nil {
		return nil, err
	}
	digest, size, err := b.put(ctx, s.revision.String(), bundle)
	if err != nil {
		return nil, err
	}
	return &v1alpha1.Artifact{
		Revision: s.revision.String(), Digest: digest, Size: size, Metadata: bundle.Metadata, LastUpdateTime: metav1.NewTime(s.now),
	}, nil
}

// collect removes the trees that no source names any more.
func (b *bundles) collect(ctx context.Context, s *bundleScope) flow.Outcome {
	if old := s.repo.Status.Artifact; old != nil && old.Digest == s.artifact.Digest {
		return flow.Done()
	}
	if err := b.keep(ctx, s.artifact.Digest); err != nil {
		return flow.Fail(v1alpha1.StorageOperationFailedReason, err)
	}
	return flow.Done()
}

func bundleReason(err error) string {
	var stored *storeError
	switch {
	case errors.Is(err, oci.ErrAuth), errors.Is(err, ErrCredentials):
		return v1alpha1.AuthenticationFailedReason
	case errors.Is(err, oci.ErrRefused), errors.Is(err, store.ErrRefused):
		return v1alpha1.SourceRefusedReason
	case errors.Is(err, oci.ErrNotFound):
		return v1alpha1.ReferenceNotFoundReason
	case errors.As(err, &stored):
		return v1alpha1.StorageOperationFailedReason
	default:
		return v1alpha1.OCIPullFailedReason
	}
}

// bundleSelection names the fields that choose what a revision's artifact holds.
func bundleSelection(spec v1alpha1.OCIRepositorySpec) string {
	if spec.Ignore == nil && spec.LayerSelector == nil {
		return ""
	}
	content, err := json.Marshal(struct {
		Ignore *string
		Layer  *v1alpha1.OCILayerSelector
	}{spec.Ignore, spec.LayerSelector})
	if err != nil {
		content = []byte(err.Error())
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// reportBundle writes the status. An artifact that was there stays when the run failed.
func reportBundle(s *bundleScope, result flow.Result) {
	status := &s.repo.Status
	status.ObservedGeneration = s.repo.Generation
	status.LastHandledReconcileAt = s.repo.Annotations[v1alpha1.RequestedAtAnnotation]
	message := ""
	if s.artifact != nil {
		status.Artifact = s.artifact
		message = "stored " + s.artifact.Revision
	}
	conditions := flow.Conditions{List: &status.Conditions, Generation: s.repo.Generation, Now: s.now}
	conditions.Kstatus(result, v1alpha1.SucceededReason, message)
	if s.suspended {
		conditions.Remove(v1alpha1.ReconcilingCondition)
	}
	switch {
	case s.repo.Spec.Verification == nil:
		conditions.Remove(v1alpha1.SourceVerifiedCondition)
	case s.unverified != nil:
		conditions.False(v1alpha1.SourceVerifiedCondition, v1alpha1.VerificationErrorReason, s.unverified.Error())
	case s.signer != "":
		conditions.True(v1alpha1.SourceVerifiedCondition, v1alpha1.SucceededReason, fmt.Sprintf("%s is signed by %s", s.revision, s.signer))
	}
}

// verified tells whether a former run verified this revision for this very spec.
func (s *bundleScope) verified() bool {
	c := meta.FindStatusCondition(s.repo.Status.Conditions, v1alpha1.SourceVerifiedCondition)
	current := s.repo.Status.Artifact
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == s.repo.Generation &&
		current != nil && digestOf(current.Revision) == s.revision.Digest
}

package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/verify"
)

// errNoTag says that a tag is to be verified where there is none.
var errNoTag = errors.New("the reference leads to no annotated tag; name a signed tag in spec.ref, or set spec.verify.mode to HEAD")

// keysOf reads the keys that a GitRepository is verified with, and names them together with the mode.
func (r *reconciler) keysOf(ctx context.Context, repo *v1alpha1.GitRepository) (*verify.Keys, string, error) {
	v := repo.Spec.Verification
	if v == nil {
		return nil, "", nil
	}
	data, err := secretData(ctx, r.secrets, repo.Namespace, v.SecretRef.Name)
	if err != nil {
		return nil, "", err
	}
	keys, err := verify.ParseKeys(data)
	if err != nil {
		return nil, "", fmt.Errorf("use Secret %s: %w", v.SecretRef.Name, err)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %q", v.Mode, data)
	return keys, hex.EncodeToString(h.Sum(nil)), nil
}

// verify is called with what was fetched, before any file of it is looked at.
func (s *scope) verify(o git.Objects) error {
	var signers []string
	mode := s.repo.Spec.Verification.Mode
	if mode != v1alpha1.VerifyTag {
		who, err := s.keys.Commit(o.Commit)
		if err != nil {
			s.unverified = fmt.Errorf("commit %s: %w", s.revision.Commit, err)
			return s.unverified
		}
		signers = append(signers, fmt.Sprintf("commit %s by %s", s.revision.Commit, who))
	}
	if mode == v1alpha1.VerifyTag || mode == v1alpha1.VerifyTagAndHead {
		who, err := s.verifyTag(o)
		if err != nil {
			s.unverified = err
			return err
		}
		signers = append(signers, fmt.Sprintf("tag %s by %s", s.revision.Ref, who))
	}
	s.signers = strings.Join(signers, ", ")
	return nil
}

func (s *scope) verifyTag(o git.Objects) (verify.Signer, error) {
	if o.Tag == nil {
		return verify.Signer{}, errNoTag
	}
	name := strings.TrimPrefix(s.revision.Ref, "refs/tags/")
	who, err := s.keys.Tag(o.Tag, name, s.revision.Commit)
	if err != nil {
		return who, fmt.Errorf("tag %s: %w", name, err)
	}
	return who, nil
}

// verified tells whether the artifact in the status satisfies what the spec asks for; which keys did it stands in the
// selection's digest.
func (s *scope) verified() bool {
	return s.keys == nil || meta.IsStatusConditionTrue(s.repo.Status.Conditions, v1alpha1.SourceVerifiedCondition)
}

func reportVerification(s *scope, conditions flow.Conditions) {
	status := &s.repo.Status
	switch {
	case s.repo.Spec.Verification == nil:
		conditions.Remove(v1alpha1.SourceVerifiedCondition)
		status.SourceVerificationMode = ""
	case s.unverified != nil:
		conditions.False(v1alpha1.SourceVerifiedCondition, v1alpha1.VerificationErrorReason, s.unverified.Error())
	case s.artifact != nil && s.signers != "":
		conditions.True(v1alpha1.SourceVerifiedCondition, v1alpha1.SucceededReason, "verified "+s.signers)
		status.SourceVerificationMode = s.repo.Spec.Verification.Mode
	}
}

// rejections remembers which revision of a source failed its verification, so that it is not fetched again and again only
// to fail in the same way. It is lost in a restart, which costs one fetch.
type rejections struct {
	mu   sync.Mutex
	last map[types.UID]rejection
}

type rejection struct {
	revision, tag, selection string
	why                      error
}

func (r *rejections) why(s *scope) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, found := r.last[s.repo.UID]
	if !found || s.keys == nil || last.revision != s.revision.String() || last.tag != s.revision.Tag || last.selection != s.selection {
		return nil
	}
	return last.why
}

func (r *rejections) add(s *scope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[types.UID]rejection{}
	}
	r.last[s.repo.UID] = rejection{revision: s.revision.String(), tag: s.revision.Tag, selection: s.selection, why: s.unverified}
}

func (r *rejections) forget(s *scope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, s.repo.UID)
}

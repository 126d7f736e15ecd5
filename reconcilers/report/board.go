package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/source"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/oci"
)

// ArtifactType of the referrer that carries the health of a bundle.
const ArtifactType = "application/vnd.slipway.health.v1+yaml"

// board is where the health of one revision stands.
type board interface {
	read(ctx context.Context) ([]byte, error)
	write(ctx context.Context, text []byte, at time.Time) error
}

// boardOf finds the board of a revision: the note of a commit, or a referrer of a
// bundle.
func (r *reconciler) boardOf(ctx context.Context, env *v1alpha1.Environment, revision string) (board, error) {
	if env.Spec.SourceRef.Kind == v1alpha1.OCIRepositoryKind {
		return r.referrerOf(ctx, env, revision)
	}
	parsed, err := git.ParseRevision(revision)
	if err != nil {
		return nil, fmt.Errorf("report on %s: %w", revision, err)
	}
	remote, err := r.remoteOf(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("report on %s: %w", parsed, err)
	}
	return &note{notes: r.notes, remote: remote, revision: parsed}, nil
}

// note is the Git note of a commit.
type note struct {
	notes    Notes
	remote   git.Remote
	revision git.Revision
}

func (n *note) read(ctx context.Context) ([]byte, error) {
	text, err := n.notes.Read(ctx, n.remote, NotesRef, n.revision.Commit)
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return nil, fmt.Errorf("read the note of %s: %w", n.revision, err)
	}
	return text, nil
}

func (n *note) write(ctx context.Context, text []byte, _ time.Time) error {
	if err := n.notes.Append(ctx, n.remote, NotesRef, n.revision.Commit, text); err != nil {
		return fmt.Errorf("write the note of %s: %w", n.revision, err)
	}
	return nil
}

// referrer is a document that refers to a bundle.
type referrer struct {
	repository *oci.Repository
	revision   oci.Revision
	// before are those that were read. One that is written takes their place.
	before []oci.Attachment
}

func (r *reconciler) referrerOf(ctx context.Context, env *v1alpha1.Environment, revision string) (*referrer, error) {
	parsed, err := oci.ParseRevision(revision)
	if err != nil {
		return nil, fmt.Errorf("report on %s: %w", revision, err)
	}
	repo := &v1alpha1.OCIRepository{}
	name := client.ObjectKey{Namespace: env.Namespace, Name: env.Spec.SourceRef.Name}
	if err := r.reader.Get(ctx, name, repo); err != nil {
		return nil, fmt.Errorf("get OCIRepository %s: %w", name, err)
	}
	remote, err := source.BundleRemoteOf(ctx, r.secrets, repo)
	if err != nil {
		return nil, fmt.Errorf("report on %s: %w", parsed, err)
	}
	repository, err := r.registries.Repository(remote)
	if err != nil {
		return nil, fmt.Errorf("report on %s: %w", parsed, err)
	}
	return &referrer{repository: repository, revision: parsed}, nil
}

// read joins what several documents say: a registry that was written to by two at
// the same time has two.
func (f *referrer) read(ctx context.Context) ([]byte, error) {
	var err error
	if f.before, err = f.repository.Attached(ctx, f.revision.Digest, ArtifactType); err != nil {
		return nil, fmt.Errorf("read the health of %s: %w", f.revision, err)
	}
	var text []byte
	for _, a := range f.before {
		text = append(append(text, a.Text...), '\n')
	}
	return latest(text), nil
}

func (f *referrer) write(ctx context.Context, text []byte, at time.Time) error {
	a := oci.Attachment{Type: ArtifactType, Text: text, Created: at.UTC().Format(time.RFC3339Nano)}
	if err := f.repository.Attach(ctx, f.revision.Digest, a, f.before); err != nil {
		return fmt.Errorf("write the health of %s: %w", f.revision, err)
	}
	return nil
}

package source

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// storeError is a failure of the store, not of the remote.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// has reports whether the store holds a tree.
func (r *reconciler) has(digest string) bool {
	_, err := r.store.Tree(digest)
	return err == nil
}

// put stores what was fetched and lets go of it: it is stored, or fetched again.
func (r *reconciler) put(ctx context.Context, revision string, tree fs.FS) (digest string, size int64, err error) {
	if closer, ok := tree.(io.Closer); ok {
		defer closer.Close() //nolint:errcheck // what a temporary tree leaves is swept
	}
	digest, size, err = r.store.PutWithSize(ctx, tree)
	if err != nil {
		return "", 0, &storeError{fmt.Errorf("store %s: %w", revision, err)}
	}
	return digest, size, nil
}

// keep removes the trees that nobody names, but for a new one that stands in no
// status yet.
func (r *reconciler) keep(ctx context.Context, fresh string) error {
	return Collect(ctx, r.reader, r.store, fresh)
}

// Collect removes the trees of a store that no source of any kind and no
// Environment names, but for a new one that stands in no status yet.
func Collect(ctx context.Context, reader client.Reader, trees Store, fresh string) error {
	repos, bundles, environments := &v1alpha1.GitRepositoryList{}, &v1alpha1.OCIRepositoryList{}, &v1alpha1.EnvironmentList{}
	for _, list := range []client.ObjectList{repos, bundles, environments} {
		if err := reader.List(ctx, list); err != nil {
			return fmt.Errorf("list who uses artifacts: %w", err)
		}
	}
	used := []string{fresh}
	for i := range repos.Items {
		used = appendDigest(used, repos.Items[i].Status.Artifact)
	}
	for i := range bundles.Items {
		used = appendDigest(used, bundles.Items[i].Status.Artifact)
	}
	for i := range environments.Items {
		if taken := environments.Items[i].Status.SourceArtifact; taken != nil {
			used = append(used, taken.Digest)
		}
	}
	if _, err := trees.Keep(used...); err != nil {
		return fmt.Errorf("collect old artifacts: %w", err)
	}
	return nil
}

func appendDigest(digests []string, a *v1alpha1.Artifact) []string {
	if a == nil {
		return digests
	}
	return append(digests, a.Digest)
}

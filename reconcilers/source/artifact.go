package source

import (
	"context"
	"fmt"
	"io"
	"io/fs"

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

// keep removes the trees that no source of any kind names, but for a new one that
// stands in no status yet.
func (r *reconciler) keep(ctx context.Context, fresh string) error {
	repos, bundles := &v1alpha1.GitRepositoryList{}, &v1alpha1.OCIRepositoryList{}
	if err := r.reader.List(ctx, repos); err != nil {
		return fmt.Errorf("list GitRepositories: %w", err)
	}
	if err := r.reader.List(ctx, bundles); err != nil {
		return fmt.Errorf("list OCIRepositories: %w", err)
	}
	used := []string{fresh}
	for i := range repos.Items {
		used = appendDigest(used, repos.Items[i].Status.Artifact)
	}
	for i := range bundles.Items {
		used = appendDigest(used, bundles.Items[i].Status.Artifact)
	}
	if _, err := r.store.Keep(used...); err != nil {
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

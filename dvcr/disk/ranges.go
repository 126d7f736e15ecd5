package disk

import (
	"context"
	"fmt"
	"io"
	"net/http"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// getRange requests bytes [start, end) of a blob. The library can only seek in a request for the whole blob, of which a server
// sends megabytes before it learns that they are not wanted.
func getRange(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, start, end int64) (*http.Response, error) {
	ref := repo.Reference
	ref.Reference = desc.Digest.String()
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, blobURL(repo, ref), nil)
	if err != nil {
		return nil, fmt.Errorf("request part of %s: %w", desc.Digest, err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", start, end-1))
	client := repo.Client
	if client == nil {
		client = auth.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, targetError("open", err)
	}
	return resp, nil
}

func blobURL(repo *remote.Repository, ref registry.Reference) string {
	scheme := "https"
	if repo.PlainHTTP {
		scheme = "http"
	}
	return fmt.Sprintf("%s://%s/v2/%s/blobs/%s", scheme, ref.Host(), ref.Repository, ref.Reference)
}

// remoteError makes of an answer the errors that oras makes of one.
func remoteError(resp *http.Response) error {
	defer resp.Body.Close()                                       //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	err := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %w", errdef.ErrNotFound, err)
	}
	return err
}

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	oauth "oras.land/oras-go/v2/registry/remote/auth"

	"slipway.dev/slipway/dvcr/disk"
)

// facesPath is the one extension to the registry's protocol: POST has the faces of a stored disk manifest made.
var facesPath = regexp.MustCompile(`^/v2/([a-z0-9][a-z0-9._/-]*)/_slipway/faces/(sha256:[0-9a-f]{64})$`)

// facesAnswer is what it answers with. The status comes before the work is done, which may take minutes, so an error stands in
// the body.
type facesAnswer struct {
	Faces []disk.FaceBlob `json:"faces,omitempty"`
	Error string          `json:"error,omitempty"`
}

// serveFaces makes faces for who may write the repository.
func (s *Server) serveFaces(w http.ResponseWriter, r *http.Request, repository string, manifest digest.Digest) {
	resource := auth.Resource{Type: "repository", Name: repository}
	_, err := s.guard.Authorized(r, auth.Access{Resource: resource, Action: actionPull}, auth.Access{Resource: resource, Action: actionPush})
	var c challenge
	if errors.As(err, &c) {
		c.SetHeaders(r, w)
		http.Error(w, c.Error(), http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "POST makes faces", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // without it the client only waits longer
	var answer facesAnswer
	s.presence.touch(manifest.String())
	if answer.Faces, err = s.shelf.make(r.Context(), repository, manifest); err != nil {
		answer = facesAnswer{Error: err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer) // a client that went away asks again
}

// Faces has a registry of ours make the faces of disks in one repository; they cost no storage there. Another registry says
// disk.ErrUnsupported.
type Faces struct{ Repository *remote.Repository }

// MakeFaces implements disk.FaceMaker.
func (f Faces) MakeFaces(ctx context.Context, manifest ocispec.Descriptor) ([]disk.FaceBlob, error) {
	resp, err := f.request(ctx, manifest)
	if err != nil {
		return nil, fmt.Errorf("make faces of %s: %w", manifest.Digest, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest:
		return nil, fmt.Errorf("make faces of %s: %w: %s is not a DVCR", manifest.Digest, disk.ErrUnsupported, f.Repository.Reference.Registry)
	default:
		return nil, fmt.Errorf("make faces of %s: %w: %s answered %s", manifest.Digest, disk.ErrTarget, f.Repository.Reference.Registry, resp.Status)
	}
	var answer facesAnswer
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("make faces of %s: %w: read answer: %w", manifest.Digest, disk.ErrTarget, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("make faces of %s: %w: %s", manifest.Digest, disk.ErrTarget, answer.Error)
	}
	return answer.Faces, nil
}

func (f Faces) request(ctx context.Context, manifest ocispec.Descriptor) (*http.Response, error) {
	ref := f.Repository.Reference
	scheme := "https"
	if f.Repository.PlainHTTP {
		scheme = "http"
	}
	url := fmt.Sprintf("%s://%s/v2/%s/_slipway/faces/%s", scheme, ref.Host(), ref.Repository, manifest.Digest)
	ctx = oauth.AppendRepositoryScope(ctx, ref, oauth.ActionPull, oauth.ActionPush)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return nil, err //nolint:wrapcheck // MakeFaces wraps it
	}
	return f.Repository.Client.Do(req) //nolint:wrapcheck // see above
}

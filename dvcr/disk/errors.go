package disk

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Errors that a caller decides by; each is wrapped with what was being done and to which object.
var (
	// ErrCorrupt says that the artifact's bytes are not what its digests promise. Nothing of them was written.
	ErrCorrupt = errors.New("disk artifact is corrupt")
	// ErrNotArtifact says that the reference names something that is not a Slipway disk.
	ErrNotArtifact = errors.New("not a Slipway disk artifact")
	// ErrUnsupported says that an image uses a feature that is refused on purpose.
	ErrUnsupported = errors.New("image is not supported")
	// ErrInvalidImage says that an image contradicts its own format.
	ErrInvalidImage = errors.New("image is invalid")
	// ErrTooLarge says that an image is over one of the limits given to Push.
	ErrTooLarge = errors.New("image is too large")
	// ErrTarget says that the registry that holds or takes the artifact failed, not the disk.
	ErrTarget = errors.New("registry request failed")
)

// targetError marks a failed request as the registry's and shortens what oras says about it: upload URLs carry state of several
// hundred bytes that help no one. The error below stays in the chain.
func targetError(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, ErrTarget, &requestFailure{err})
}

type requestFailure struct{ err error }

func (e *requestFailure) Error() string {
	var answer *errcode.ErrorResponse
	var failed *url.Error
	switch {
	case errors.As(e.err, &answer) && answer.URL != nil:
		return fmt.Sprintf("%s answered %d %s: %v", answer.URL.Host, answer.StatusCode, http.StatusText(answer.StatusCode), answer.Errors)
	case errors.As(e.err, &failed):
		return failed.Err.Error()
	}
	return e.err.Error()
}

func (e *requestFailure) Unwrap() error { return e.err }

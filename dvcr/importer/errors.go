package importer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/foreign"
	"slipway.dev/slipway/internal/egress"
)

// Errors that a failed job's State.Err matches; exactly one of them applies.
var (
	// ErrInvalidSource says that the job itself cannot work: a bad URL, reference, certificate or checksum.
	ErrInvalidSource = errors.New("source is invalid")
	// ErrForbiddenAddress says that the source leads to an address that imports may not reach.
	ErrForbiddenAddress = egress.ErrForbidden
	// ErrNotFound says that the server answered and does not have the image.
	ErrNotFound = errors.New("image not found")
	// ErrUnauthorized says that the server wants other credentials.
	ErrUnauthorized = errors.New("access denied")
	// ErrUntrusted says that the server's certificate is not signed by a trusted authority.
	ErrUntrusted = errors.New("certificate is not trusted")
	// ErrUnsigned says that the image is not signed by who must have signed it.
	ErrUnsigned = errors.New("image is not signed by who is trusted")
	// ErrUnreachable says that the source could not be read, although it was tried again: worth another attempt later.
	ErrUnreachable = errors.New("source is unreachable")
	// ErrChecksum says that the image is not the one that the job's checksum names.
	ErrChecksum = errors.New("checksum does not match")
	// ErrNotDiskImage says that what was read is no disk image, or a damaged one, and what it looks like.
	ErrNotDiskImage = errors.New("not a disk image")
	// ErrUnsupported says that the image's format, or a feature it uses, is refused on purpose.
	ErrUnsupported = errors.New("image is not supported")
	// ErrTooLarge says that the image is over a limit, or grows out of proportion when it is unpacked.
	ErrTooLarge = errors.New("image is too large")
	// ErrNoSpace says that the disk of the importer or of DVCR is full.
	ErrNoSpace = errors.New("no space left")
	// ErrUploadTimeout says that no user uploaded the image, or the rest of it, in time.
	ErrUploadTimeout = errors.New("nothing was uploaded in time")
	// ErrRegistry says that DVCR could not be reached or refused: worth another attempt, which continues.
	ErrRegistry = errors.New("DVCR is unavailable")
)

// kinds lists the errors above, for those that are already told apart.
var kinds = []error{
	ErrInvalidSource, ErrForbiddenAddress, ErrNotFound, ErrUnauthorized, ErrUntrusted, ErrUnsigned, ErrUnreachable, ErrChecksum,
	ErrNotDiskImage, ErrUnsupported, ErrTooLarge, ErrNoSpace, ErrUploadTimeout, ErrRegistry,
}

func isClassified(err error) bool {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// classify gives an error from pushing a disk its kind.
func classify(err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case err == nil || isClassified(err) || errors.Is(err, context.Canceled):
		return err
	case isNoSpace(err), errors.As(err, &answer) && answer.StatusCode == http.StatusInsufficientStorage:
		return fmt.Errorf("%w: free some or enlarge the disk: %w", ErrNoSpace, err)
	case errors.Is(err, disk.ErrTarget):
		return fmt.Errorf("%w: %w", ErrRegistry, err)
	case errors.Is(err, disk.ErrUnsupported), errors.Is(err, foreign.ErrUnsupported), errors.Is(err, foreign.ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, disk.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	default:
		return fmt.Errorf("%w, or a damaged one: %w", ErrNotDiskImage, err)
	}
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// maxRetryAfter is the longest pause that a server may ask for.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads how many seconds a server asks to be left alone; dates are not read, as clocks differ.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// responseError is statusError for an answer whose headers are known.
func responseError(resp *http.Response) error {
	err := statusError(resp.StatusCode)
	err.after = retryAfter(resp.Header)
	return err
}

// statusError gives an answer of an HTTP server its kind.
func statusError(code int) *answerError {
	kind := ErrUnreachable
	switch code {
	case http.StatusNotFound, http.StatusGone:
		kind = ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		kind = ErrUnauthorized
	}
	return &answerError{kind: kind, code: code}
}

// answerError is an HTTP answer that was not what was asked for.
type answerError struct {
	kind  error
	code  int
	after time.Duration // how long the server asks to be left alone
}

func (e *answerError) Error() string {
	return fmt.Sprintf("%v: the server answered %d %s", e.kind, e.code, http.StatusText(e.code))
}

func (e *answerError) Unwrap() error { return e.kind }

// transient reports whether another attempt may help.
func (e *answerError) transient() bool {
	return e.code == http.StatusRequestTimeout || e.code == http.StatusTooManyRequests || e.code >= http.StatusInternalServerError
}

// requestError gives a failed request its kind and drops the URL, which may hold secrets, from its text.
func requestError(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	var answer *errcode.ErrorResponse
	var untrusted *tls.CertificateVerificationError
	switch {
	case isClassified(err):
		return err
	case errors.As(err, &answer):
		return statusError(answer.StatusCode)
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("%w: the registry does not have it", ErrNotFound)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("%w: the registry wants credentials and the source has none", ErrUnauthorized)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w: set the source's caBundle to its authority: %w", ErrUntrusted, untrusted.Err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// worthRetrying tells a source that falters from one that refuses.
func worthRetrying(err error) bool {
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.transient()
	}
	return errors.Is(err, ErrUnreachable) && !errors.Is(err, errChanged)
}

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	stdhttp "net/http"
	"net/url"

	"github.com/skeema/knownhosts"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/fault"
	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/git/wire"
	"slipway.dev/slipway/sources/tree"
)

var (
	// ErrAuth says that the server refused the credentials, or that we refused the server's host key.
	ErrAuth = errors.New("authentication failed")
	// ErrNotFound says that the repository, the reference or the commit is not there.
	ErrNotFound = errors.New("not found")
	// ErrUnreachable says that the server could not be reached or did not answer in time.
	ErrUnreachable = errors.New("server is unreachable")
	// ErrRefused says that we do not even try: a protocol, a credential or a size that is not allowed.
	ErrRefused = errors.New("refused")
	// ErrMoved says that a reference moved between Resolve and Fetch and that the server does not give out the commit
	// it pointed to. The remedy is to resolve it again.
	ErrMoved = errors.New("reference has moved")
)

// Error is what went wrong with a remote. Its kind is one of the errors of this package, or nil.
type Error = fault.Error

// fail makes an Error from whatever the transport returned.
func (r Remote) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	detail, kind := classify(err)
	return fault.New(op, r.URL, kind, detail, r.Scrubber())
}

func (r Remote) errorf(op string, kind error, format string, a ...any) error {
	return fault.New(op, r.URL, kind, fmt.Sprintf(format, a...), r.Scrubber())
}

func classify(err error) (detail string, kind error) {
	switch {
	case errors.Is(err, wire.ErrUnauthorized):
		return "the server wants credentials, or others; name a Secret with username and password or bearerToken", ErrAuth
	case errors.Is(err, wire.ErrForbidden):
		return "the server refused the credentials", ErrAuth
	case errors.Is(err, errSSHAuth), errors.Is(err, errApp), knownhosts.IsHostKeyChanged(err), knownhosts.IsHostUnknown(err):
		return err.Error(), ErrAuth
	case errors.Is(err, wire.ErrNoRepository):
		return "there is no such repository, or it is hidden from these credentials", ErrNotFound
	case errors.Is(err, pack.ErrNotFound):
		return "the server did not send all that was asked for: " + err.Error(), ErrNotFound
	case refused(err):
		return err.Error(), ErrRefused
	case unreachable(err):
		return err.Error(), ErrUnreachable
	}
	return err.Error(), nil
}

// refused reports whether an error is a limit or a policy of ours.
func refused(err error) bool {
	for _, limit := range []error{
		errPackTooLarge, errTooMany, errName, ErrRefused, tree.ErrPath, pack.ErrTooLarge, pack.ErrMalformed, wire.ErrTooLarge, wire.ErrRedirect, egress.ErrForbidden,
	} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

func unreachable(err error) bool {
	var (
		network net.Error
		status  *wire.StatusError
		address *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return true
	case errors.As(err, &status):
		return status.Code >= 500 || status.Code == stdhttp.StatusTooManyRequests
	}
	return errors.As(err, &network) || errors.As(err, &address)
}
